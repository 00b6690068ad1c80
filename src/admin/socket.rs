//! Binds the admin sockets and serves them until told to stop.
//!
//! Owns the rules of binding: the unix socket is made with mode 0660, a stale one is removed only if nobody
//! answers on it, TCP is loopback unless there is a token and TLS in front. May not decide what a request does: that is `routes`.

use super::connection::{Accept, Caller, Limited};
use super::guard::Door;
use super::token::Token;
use super::{Control, Exporter, Limits, Settings, routes};
use crate::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// Sockets that are bound and not served yet, so that a mistake is known before the daemon reads a record.
#[derive(Debug)]
pub struct Bound {
    unix: UnixListener,
    path: PathBuf,
    tcp: Option<(TcpListener, Door)>,
    limits: Limits,
}

impl Bound {
    /// Binds what `settings` asks for. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// 78 when an address is not allowed or cannot be bound, 75 when another process answers on the socket.
    pub async fn bind(settings: &Settings) -> Result<Bound, Error> {
        let token = settings.token_file.as_deref().map(Token::read).transpose()?;
        if let Some(address) = settings.tcp.filter(|address| !address.ip().is_loopback())
            && !(token.is_some() && settings.behind_tls)
        {
            return Err(Error::configuration(format!("admin address `{address}` is not loopback"))
                .hint("it needs `admin.token_file`, and `admin.behind_tls = true` once a proxy with TLS stands in front"));
        }
        remove_stale(&settings.socket)?;
        let unix = UnixListener::bind(&settings.socket).map_err(|why| {
            Error::configuration(format!("cannot bind admin socket `{}`: {why}", settings.socket.display()))
                .hint("`admin.socket` must lie in a folder that the daemon may write to, and be at most 107 bytes long")
        })?;
        // Between bind and chmod the socket has the mode that the umask leaves, which under the shipped unit is 0700.
        fs::set_permissions(&settings.socket, fs::Permissions::from_mode(0o660)).map_err(|why| {
            Error::configuration(format!("cannot set mode of `{}`: {why}", settings.socket.display()))
        })?;
        let tcp = match settings.tcp {
            None => None,
            Some(address) => {
                let wrong =
                    |why| Error::configuration(format!("cannot bind admin address `{address}`: {why}"));
                let listener = TcpListener::bind(address).await.map_err(wrong)?;
                let bound = listener.local_addr().map_err(wrong)?;
                Some((listener, Door::tcp(bound, &settings.hosts, token)))
            }
        };
        Ok(Bound { unix, path: settings.socket.clone(), tcp, limits: settings.limits })
    }

    /// The TCP address that was bound, with its real port.
    #[must_use]
    pub fn tcp_address(&self) -> Option<std::net::SocketAddr> {
        self.tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Serves until `stop` turns true, then ends what is being answered and removes the socket.
    ///
    /// # Errors
    /// 75 when a listener fails for good.
    pub async fn serve(
        self,
        control: Arc<dyn Control>,
        exporter: Arc<Exporter>,
        stop: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let Bound { unix, path, tcp, limits } = self;
        let on_unix =
            serve(unix, Door::Unix, limits, Arc::clone(&control), Arc::clone(&exporter), stop.clone());
        let on_tcp = async {
            match tcp {
                None => Ok(()),
                Some((listener, door)) => serve(listener, door, limits, control, exporter, stop).await,
            }
        };
        let ended = tokio::try_join!(on_unix, on_tcp);
        // Gone already is as good: somebody may have cleaned the folder.
        let _ = fs::remove_file(&path);
        ended.map(|_| ()).map_err(|why| Error::try_again(format!("admin server: {why}")))
    }
}

async fn serve<L: Accept>(
    listener: L,
    door: Door,
    limits: Limits,
    control: Arc<dyn Control>,
    exporter: Arc<Exporter>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = routes::router(routes::Shared { control, exporter: Arc::clone(&exporter) }, door, limits);
    axum::serve(
        Limited::new(listener, limits, exporter),
        router.into_make_service_with_connect_info::<Caller>(),
    )
    .with_graceful_shutdown(stopped(stop))
    .await
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone means that the daemon is ending.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Removes a socket left by a process that died. A file that is no socket is never removed.
fn remove_stale(path: &Path) -> Result<(), Error> {
    let metadata = match fs::symlink_metadata(path) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(()),
        Err(why) => {
            return Err(Error::configuration(format!(
                "cannot look at admin socket `{}`: {why}",
                path.display()
            )));
        }
        Ok(metadata) => metadata,
    };
    if !metadata.file_type().is_socket() {
        return Err(Error::configuration(format!("`{}` exists and is no socket", path.display()))
            .hint("set `admin.socket` to a path of its own"));
    }
    match UnixStream::connect(path) {
        Err(why) if why.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|why| Error::configuration(format!("cannot remove stale `{}`: {why}", path.display()))),
        // It answers, or it may not be asked: either way it is not ours to remove.
        _ => Err(Error::try_again(format!("another process answers on admin socket `{}`", path.display()))
            .hint("is triaged running already with this configuration? `triaged ctl status` asks it")),
    }
}
