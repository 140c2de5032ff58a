//! Listening: connections are taken, with TLS where it is asked for, and speak HTTP/1.1, until the server is told to stop; then what has
//! begun is finished.
//!
//! How many there are and how long each may take is decided in `connections`; what is answered is not known here.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::connections::{Activity, Connections, Noticed, Seat};
use crate::metrics::Metrics;
use crate::routes::app;
use crate::server::Server;

/// Pause after a connection could not be taken, mostly because the process has no file left to open.
const PAUSE: Duration = Duration::from_millis(50);

/// Where to listen, and how.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port; with port 0 the system chooses one.
    pub address: SocketAddr,
    /// Certificate chain and key, both PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on `{address}`: {source}; choose another --port or --host")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The system gave no threads or no signals.
    #[error("cannot start: {source}")]
    Runtime {
        /// What the operating system said.
        source: io::Error,
    },
    /// A certificate or key that cannot be used.
    #[error("`{}` cannot be used for TLS: {reason}; give PEM files that belong together", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Serves until the process is told to stop by Ctrl-C or SIGTERM, and finishes what has begun. `bound` is told the address.
///
/// # Errors
/// An address that cannot be listened on, and files of TLS that cannot be used.
pub fn serve(
    server: Server,
    listen: &Listen,
    bound: impl FnOnce(SocketAddr),
) -> Result<(), ListenError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("http")
        .build()
        .map_err(|source| ListenError::Runtime { source })?;
    let acceptor = listen.tls.as_ref().map(|(chain, key)| acceptor(chain, key)).transpose()?;
    let address = listen.address;
    let served = runtime.block_on(async move {
        let stop = stop_signal().map_err(|source| ListenError::Runtime { source })?;
        let bind = |source| ListenError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        bound(listener.local_addr().map_err(bind)?);
        serve_until(listener, acceptor, server, stop).await;
        Ok(())
    });
    // A picture that is still being decoded for nobody must not keep the process.
    runtime.shutdown_background();
    served
}

/// Takes connections until `stop`, then finishes what has begun.
pub async fn serve_until(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    server: Server,
    stop: impl Future<Output = ()>,
) {
    let connections = Connections::new(server.limits());
    let app = app(server.clone());
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let next = next(&listener, &connections, server.metrics());
        let (stream, seat) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let connection =
            Connection { app: app.clone(), server: server.clone(), watcher: graceful.watcher() };
        tokio::spawn(connection.run(stream, acceptor.clone(), seat));
    }
    server.lifecycle().drain();
    drop(listener);
    // Whoever has not finished by then is cut off.
    let _ = timeout(server.limits().drain_timeout, graceful.shutdown()).await;
}

/// The next connection for which there is room, or is made.
async fn next(
    listener: &TcpListener,
    connections: &Arc<Connections>,
    metrics: &Metrics,
) -> (TcpStream, Seat) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (seat, closed) = connections.enter().await;
                metrics.closed_connections.add(closed);
                return (stream, seat);
            }
            Err(error) => {
                if is_out_of_files(&error) && connections.close_one() {
                    metrics.closed_connections.add(1);
                    let _ = timeout(PAUSE, connections.one_ended()).await;
                } else {
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether the process, or the system, has no file left to open; the numbers are those of every Unix.
fn is_out_of_files(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    cfg!(unix) && matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// What a connection needs.
struct Connection {
    app: Router,
    server: Server,
    watcher: Watcher,
}

impl Connection {
    async fn run(self, stream: TcpStream, acceptor: Option<TlsAcceptor>, seat: Seat) {
        let server = self.server.clone();
        server.metrics().connections.add(1);
        // Small replies should not wait for more; a system that refuses this only makes them slower.
        let _ = stream.set_nodelay(true);
        let activity = seat.activity();
        seat.run(async move {
            match acceptor {
                None => self.speak(stream, activity).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        self.speak(stream, activity).await;
                    }
                }
            }
        })
        .await;
        server.metrics().connections.subtract(1);
    }

    async fn speak(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        activity: Arc<Activity>,
    ) {
        let stream = Noticed::new(stream, Arc::clone(&activity));
        let app = TowerToHyperService::new(self.app);
        let service = service_fn(move |request: Request<Incoming>| {
            activity.asked();
            let (reply, activity) = (app.call(request), Arc::clone(&activity));
            async move {
                let reply = reply.await;
                activity.answered();
                reply
            }
        });
        // The time of a head is bounded by its seat, which knows it from the time between requests.
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service);
        // A client that breaks off or talks nonsense is its own concern.
        let _ = self.watcher.watch(connection).await;
    }
}

/// Ends at Ctrl-C or SIGTERM.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
    })
}

/// What makes connections speak TLS, from a certificate chain and its key in PEM files.
///
/// # Errors
/// Files that cannot be read or do not belong together.
pub fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, ListenError> {
    let fault = |path: &Path, reason: String| ListenError::Tls { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(chain, error.to_string()))?;
    if certificates.is_empty() {
        return Err(fault(chain, "it holds no certificate".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => fault(key, "it holds no key".to_owned()),
        error => fault(key, error.to_string()),
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, secret))
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                fault(chain, "the key is that of another certificate".to_owned())
            }
            error => fault(chain, error.to_string()),
        })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
