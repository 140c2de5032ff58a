//! Connections of a listening server: TLS, which of them are closed and when, and how it stops.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use serde_json::Value;
use serve::listen::{acceptor, serve_until};
use serve::{Config, Limits, Server};
use support::{good_body, post, rewards, server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// More than anything here takes, and less than the time limits that must not be waited for.
const SOON: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_hours(1);

/// A server that listens.
struct Listening {
    address: SocketAddr,
    server: Server,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Listening {
    async fn start(limits: Limits, acceptor: Option<TlsAcceptor>) -> Self {
        let server = server(Config { limits, ..Config::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap() };
        let ended = tokio::spawn(serve_until(listener, acceptor, server.clone(), stopped));
        Self { address, server, stop, ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Bits of the rewards that a server gives over a connection, which stays open.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Vec<u32> {
    let body = good_body().to_string();
    let length = body.len();
    let head = format!(
        "POST /v1/reward HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    loop {
        let count = timeout(SOON, stream.read_buf(&mut read)).await.unwrap().unwrap();
        assert!(count > 0, "the connection ended: {}", String::from_utf8_lossy(&read));
        if let Some(body) = whole_body(&read) {
            return rewards(&body);
        }
    }
}

/// The body of a reply, when it has come whole.
fn whole_body(reply: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(reply).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.split("content-length: ").nth(1)?.lines().next()?.parse::<usize>().unwrap();
    (body.len() == length).then(|| serde_json::from_str(body).unwrap())
}

/// Waits for the end of a connection over which nothing was sent.
async fn closed(stream: &mut TcpStream) {
    assert!(matches!(timeout(SOON, stream.read(&mut [0])).await.unwrap(), Ok(0) | Err(_)));
}

/// A certificate and its key in files.
fn certificate(folder: &Path) -> CertifiedKey<KeyPair> {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made
}

fn trusting(made: &CertifiedKey<KeyPair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn rewards_over_tls_have_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let made = certificate(folder.path());
    let tls = acceptor(&folder.path().join("chain.pem"), &folder.path().join("key.pem")).unwrap();
    let listening = Listening::start(Limits::default(), Some(tls)).await;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = listening.connect().await;
    let mut stream = trusting(&made).connect(name.clone(), stream).await.unwrap();
    let plain = post(&serve::app(listening.server.clone()), "/v1/reward", &good_body()).await;
    assert_eq!(ask(&mut stream).await, plain.rewards());
    assert_eq!(ask(&mut stream).await, plain.rewards());
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stream = listening.connect().await;
    assert!(trusting(&other).connect(name, stream).await.is_err(), "the certificate is checked");
}

#[test]
fn files_that_are_no_certificate_and_key_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    certificate(folder.path());
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("other.pem"), other.signing_key.serialize_pem()).unwrap();
    std::fs::write(at("torn.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    for (chain, key, at_fault, reason) in [
        ("key.pem", "key.pem", "key.pem", "it holds no certificate"),
        ("chain.pem", "chain.pem", "chain.pem", "it holds no key"),
        ("absent.pem", "key.pem", "absent.pem", "No such file or directory"),
        ("chain.pem", "absent.pem", "absent.pem", "No such file or directory"),
        ("torn.pem", "key.pem", "torn.pem", "section end"),
        ("chain.pem", "other.pem", "chain.pem", "the key is that of another certificate"),
    ] {
        let sentence = acceptor(&at(chain), &at(key)).err().unwrap().to_string();
        let begin = format!("`{}` cannot be used for TLS: ", at(at_fault).display());
        assert!(sentence.starts_with(&begin) && sentence.contains(reason), "{sentence}");
        assert!(sentence.ends_with("; give PEM files that belong together"), "{sentence}");
    }
}

#[tokio::test]
async fn connections_that_ask_nothing_make_room_for_those_that_do() {
    let limits = Limits { max_connections: 4, receive_timeout: LONG, ..Limits::default() };
    let listening = Listening::start(limits, None).await;
    let mut kept = listening.connect().await;
    let expected = ask(&mut kept).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        let mut stream = listening.connect().await;
        // Part of a head is no request.
        stream.write_all(b"POST /v1/reward HTTP/1.1\r\n").await.unwrap();
        silent.push(stream);
    }
    let mut working = listening.connect().await;
    assert_eq!(ask(&mut working).await, expected);
    for stream in &mut silent[..10] {
        closed(stream).await;
    }
    assert_eq!(ask(&mut kept).await, expected);
    assert_eq!(ask(&mut working).await, expected);
    assert_eq!(listening.server.metrics().closed_connections.get(), 10);
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_longer_than_a_head_may_take() {
    let limits = Limits { receive_timeout: SHORT, idle_timeout: LONG, ..Limits::default() };
    let listening = Listening::start(limits, None).await;
    let mut kept = listening.connect().await;
    let expected = ask(&mut kept).await;
    let mut silent = listening.connect().await;
    closed(&mut silent).await;
    let mut slow = listening.connect().await;
    slow.write_all(b"POST /v1/").await.unwrap();
    closed(&mut slow).await;
    assert_eq!(ask(&mut kept).await, expected);
    kept.write_all(b"POST /v1/").await.unwrap();
    closed(&mut kept).await;
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed_after_its_time() {
    let limits = Limits { receive_timeout: LONG, idle_timeout: SHORT, ..Limits::default() };
    let listening = Listening::start(limits, None).await;
    let mut stream = listening.connect().await;
    ask(&mut stream).await;
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_connections_that_ask_nothing() {
    let limits = Limits { receive_timeout: LONG, drain_timeout: LONG, ..Limits::default() };
    let listening = Listening::start(limits, None).await;
    let mut idle = listening.connect().await;
    ask(&mut idle).await;
    let mut silent = listening.connect().await;
    let mut working = listening.connect().await;
    ask(&mut working).await;
    listening.stop.send(()).unwrap();
    timeout(SOON, listening.ended).await.unwrap().unwrap();
    closed(&mut idle).await;
    closed(&mut silent).await;
}
