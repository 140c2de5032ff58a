//! Connections: a bounded number of them, each with a time limit on what a client sends, with TLS where it is asked for, until the
//! server is told to stop; then what has begun is finished.
//!
//! HTTP/1.1 only. What is answered is not known here.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
    let connections = Arc::new(Semaphore::new(server.limits().max_connections.max(1)));
    let app = app(server.clone());
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit.expect("nobody closes the semaphore"), listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let connection = Connection {
            app: app.clone(),
            server: server.clone(),
            watcher: graceful.watcher(),
            _permit: permit,
        };
        tokio::spawn(connection.run(stream, acceptor.clone()));
    }
    server.lifecycle().drain();
    drop(listener);
    // Whoever has not finished by then is cut off.
    let _ = timeout(server.limits().drain_timeout, graceful.shutdown()).await;
}

/// What a connection needs.
struct Connection {
    app: Router,
    server: Server,
    watcher: Watcher,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        self.server.metrics().connections.add(1);
        let server = self.server.clone();
        // Small replies should not wait for more; a system that refuses this only makes them slower.
        let _ = stream.set_nodelay(true);
        match acceptor {
            None => self.speak(stream).await,
            Some(acceptor) => {
                let limit = server.limits().receive_timeout;
                if let Ok(Ok(stream)) = timeout(limit, acceptor.accept(stream)).await {
                    self.speak(stream).await;
                }
            }
        }
        server.metrics().connections.subtract(1);
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let Self { app, server, watcher, _permit } = self;
        let service = TowerToHyperService::new(app);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(server.limits().receive_timeout)
            .serve_connection(TokioIo::new(stream), service);
        // A client that breaks off or talks nonsense is its own concern.
        let _ = watcher.watch(connection).await;
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

fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, ListenError> {
    let fault = |path: &Path, reason: String| ListenError::Tls { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(chain, error.to_string()))?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, secret))
        .map_err(|error| fault(chain, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
