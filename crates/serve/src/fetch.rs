//! Pictures from the network, for servers that allow it: public addresses only, a few redirects, bounded bytes and time.
//!
//! Addresses are judged after their names were resolved, and the very address that was judged is connected to; a redirect is judged
//! again. Proxies of the environment are not used, because behind one nothing could be judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::time::Duration;

use axum::http::{StatusCode, Uri};
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use crate::error::ApiError;
use crate::pictures::too_many_bytes;

/// Redirects that are followed.
const MAX_REDIRECTS: u32 = 3;
/// Time for everything: name, connection, redirects and bytes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches pictures.
pub(crate) struct Fetcher {
    agent: Agent,
    max_bytes: usize,
}

impl Fetcher {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self::resolving(PublicOnly, max_bytes)
    }

    fn resolving(resolver: impl Resolver, max_bytes: usize) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(MAX_REDIRECTS)
            .timeout_global(Some(TIMEOUT))
            .max_idle_connections(0)
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Self { agent, max_bytes }
    }

    /// The bytes at an address.
    ///
    /// # Errors
    /// An address that is not public, does not answer in time or with success, or has too many bytes.
    pub(crate) fn fetch(&self, url: &str) -> Result<Vec<u8>, ApiError> {
        let mut reply = self.agent.get(url).call().map_err(|error| failure(&error))?;
        let limit = self.max_bytes as u64 + 1;
        let bytes =
            reply.body_mut().with_config().limit(limit).read_to_vec().map_err(
                |error| match error {
                    Error::BodyExceedsLimit(_) => too_many_bytes(self.max_bytes),
                    error => failure(&error),
                },
            )?;
        if bytes.len() > self.max_bytes {
            return Err(too_many_bytes(self.max_bytes));
        }
        Ok(bytes)
    }
}

fn failure(error: &Error) -> ApiError {
    let reason = match error {
        Error::HostNotFound => "its host has no public address".to_owned(),
        Error::StatusCode(status) => format!("its server answered with status {status}"),
        Error::Timeout(_) => format!("its server did not answer within {} s", TIMEOUT.as_secs()),
        Error::TooManyRedirects => "it leads from one place to the next".to_owned(),
        // What a connection failed of could tell about the network behind this server.
        _ => "it cannot be reached".to_owned(),
    };
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "url_fetch_failed",
        format!("the picture cannot be fetched: {reason}; send it as a data: URL"),
    )
}

/// Finds addresses of names, and keeps the public ones.
#[derive(Debug)]
struct PublicOnly;

impl Resolver for PublicOnly {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let port = match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(port);
        let found = (host, port).to_socket_addrs().map_err(|_| Error::HostNotFound)?;
        let mut public = self.empty();
        for address in found.filter(|address| is_public(address.ip())).take(4) {
            public.push(address);
        }
        if public.is_empty() { Err(Error::HostNotFound) } else { Ok(public) }
    }
}

/// Whether an address belongs to the public network.
///
/// # Source
/// The IANA registries of special-purpose addresses for IPv4 and IPv6.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            embedded_v4(address).map_or_else(|| is_public_v6(address), is_public_v4)
        }
    }
}

/// Everything public so far lies in `2000::/3`, with exceptions for documentation, tunnels and benchmarks.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000
        && !(first == 0x2001 && second < 0x0200)
        && !(first == 0x2001 && second == 0x0db8)
        && !(first == 0x3fff && second < 0x1000)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 224)
}

/// The IPv4 address inside of one that only wraps it: mapped, compatible, translated or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let at = |index: usize| {
        let [a, b] = segments[index].to_be_bytes();
        let [c, d] = segments[index + 1].to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => Some(at(6)),
        [0x2002, ..] => Some(at(1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::{Arc, Mutex};

    /// A web server of this machine that answers by a table, and what it was asked for.
    struct Web {
        address: SocketAddr,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Web {
        fn start(replies: &[(&str, &str)]) -> Self {
            let replies: BTreeMap<String, String> =
                replies.iter().map(|&(path, reply)| (path.to_owned(), reply.to_owned())).collect();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let asked = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&asked);
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let head = BufReader::new(&stream).lines().map(Result::unwrap);
                    let lines: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
                    let path = lines[0].split(' ').nth(1).unwrap().to_owned();
                    let reply = &replies[&path];
                    heard.lock().unwrap().push(path);
                    stream.write_all(reply.as_bytes()).unwrap();
                }
            });
            Self { address, asked }
        }

        fn asked(&self) -> Vec<String> {
            self.asked.lock().unwrap().clone()
        }

        /// What fetches from this server under the name `public.test`, and else only what is public.
        fn fetcher(&self, max_bytes: usize) -> Fetcher {
            Fetcher::resolving(KnownOrPublic(self.address), max_bytes)
        }
    }

    /// One server of this machine counts as public under its name.
    #[derive(Debug)]
    struct KnownOrPublic(SocketAddr);

    impl Resolver for KnownOrPublic {
        fn resolve(
            &self,
            uri: &Uri,
            config: &Config,
            timeout: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            if uri.host() != Some("public.test") {
                return PublicOnly.resolve(uri, config, timeout);
            }
            let mut known = self.empty();
            known.push(self.0);
            Ok(known)
        }
    }

    fn redirect(to: &str) -> String {
        format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
    }

    const FOUND: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\npicture";

    #[test]
    fn a_redirect_to_a_private_address_is_not_followed() {
        let private = Web::start(&[("/secret", FOUND)]);
        let port = private.address.port();
        let reached = Fetcher::resolving(KnownOrPublic(private.address), 100);
        assert_eq!(reached.fetch("http://public.test/secret").unwrap(), b"picture");
        for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "[::ffff:127.0.0.1]"] {
            let to = format!("http://{host}:{port}/secret");
            let public = Web::start(&[("/a.png", &redirect(&to))]);
            let error = public.fetcher(100).fetch("http://public.test/a.png").unwrap_err();
            assert_eq!(error.code, "url_fetch_failed", "{host}");
            assert!(error.message.contains("no public address"), "{}", error.message);
            assert_eq!(public.asked(), ["/a.png"]);
        }
        for to in ["file:///etc/passwd", "ftp://public.test/", "data:,picture"] {
            let public = Web::start(&[("/a.png", &redirect(to))]);
            let error = public.fetcher(100).fetch("http://public.test/a.png").unwrap_err();
            assert_eq!(error.code, "url_fetch_failed", "{to}");
        }
        assert_eq!(private.asked(), ["/secret"], "only the name that is public was followed");
    }

    #[test]
    fn redirects_are_followed_a_few_times_and_no_more() {
        let (to_1, to_2, to_3) = (redirect("/1"), redirect("http://public.test/2"), redirect("/3"));
        let web = Web::start(&[("/0", &to_1), ("/1", &to_2), ("/2", &to_3), ("/3", FOUND)]);
        assert_eq!(web.fetcher(100).fetch("http://public.test/0").unwrap(), b"picture");
        assert_eq!(web.asked(), ["/0", "/1", "/2", "/3"]);
        let circle = Web::start(&[("/0", &to_1), ("/1", &redirect("/0"))]);
        let error = circle.fetcher(100).fetch("http://public.test/0").unwrap_err();
        assert!(error.message.contains("leads from one place to the next"), "{}", error.message);
        assert_eq!(circle.asked(), ["/0", "/1", "/0", "/1"]);
    }

    #[test]
    fn no_more_bytes_are_read_than_a_picture_may_have() {
        let web = Web::start(&[("/a.png", FOUND)]);
        assert_eq!(web.fetcher(7).fetch("http://public.test/a.png").unwrap(), b"picture");
        let error = web.fetcher(6).fetch("http://public.test/a.png").unwrap_err();
        assert_eq!(error.code, "image_file_too_large");
    }

    #[test]
    fn addresses_of_this_machine_and_of_private_networks_are_not_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::101:101",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn a_name_or_number_of_this_machine_is_never_connected_to() {
        let fetcher = Fetcher::new(100);
        for url in [
            "http://127.0.0.1:9/",
            "http://localhost:9/",
            "http://[::1]:9/",
            "http://2130706433:9/",
            "http://0x7f.1:9/",
        ] {
            let error = fetcher.fetch(url).unwrap_err();
            assert_eq!(error.code, "url_fetch_failed", "{url}");
        }
        let error = fetcher.fetch("http://127.0.0.1:9/").unwrap_err();
        assert!(error.message.contains("no public address"), "{}", error.message);
    }
}
