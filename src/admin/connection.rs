//! A listener whose connections are few, short and of one request: neither many clients nor a slow one can hold the
//! server.
//!
//! Owns the limits on connections: how many at once, how long each lives, how long and how large the head of its
//! request may be, how long a client may not read. Backs off when the system gives no descriptor. Knows nothing
//! of HTTP: `routes` says when a request has come. Wraps both listeners in `socket`.

use super::{Exporter, Limits};
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Rests after accepting failed: the first, doubled each time up to the last.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(1);

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A process of this machine, as the kernel vouches for it.
    Unix {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its process id, if it still runs in a namespace that we see.
        pid: Option<i32>,
    },
    /// Whoever has this address.
    Tcp(SocketAddr),
    /// The kernel did not say.
    Unknown,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Unix { uid, gid, pid: Some(pid) } => write!(f, "uid {uid} gid {gid} pid {pid}"),
            Peer::Unix { uid, gid, pid: None } => write!(f, "uid {uid} gid {gid}"),
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unknown => f.write_str("unknown"),
        }
    }
}

/// What a request knows of its connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Who asks.
    pub(super) peer: Peer,
    arrived: Arc<AtomicBool>,
}

impl Caller {
    /// Tells the connection that its request has come, so that no head is waited for any more.
    pub(super) fn arrived(&self) {
        self.arrived.store(true, Ordering::Release);
    }
}

impl<L: Accept> Connected<IncomingStream<'_, Limited<L>>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Limited<L>>) -> Caller {
        Caller { peer: *stream.remote_addr(), arrived: Arc::clone(&stream.io().arrived) }
    }
}

/// Where connections come from.
pub(super) trait Accept: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    ///
    /// # Errors
    /// As the system says.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;
}

impl Accept for UnixListener {
    type Io = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.accept().await?;
        let peer = stream.peer_cred().map_or(Peer::Unknown, |cred| Peer::Unix {
            uid: cred.uid(),
            gid: cred.gid(),
            pid: cred.pid(),
        });
        Ok((stream, peer))
    }
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Peer)> {
        self.accept().await.map(|(stream, address)| (stream, Peer::Tcp(address)))
    }
}

/// A listener with at most so many connections, each with an end.
pub(super) struct Limited<L> {
    listener: L,
    places: Arc<Semaphore>,
    limits: Limits,
    exporter: Arc<Exporter>,
}

impl<L: Accept> Limited<L> {
    /// `listener` under these limits; what is refused is counted by `exporter`.
    pub(super) fn new(listener: L, limits: Limits, exporter: Arc<Exporter>) -> Limited<L> {
        assert!(limits.connections_max > 0, "a server without a place for anybody");
        Limited { listener, places: Arc::new(Semaphore::new(limits.connections_max)), limits, exporter }
    }
}

impl<L: Accept> Listener for Limited<L> {
    type Io = Connection<L::Io>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Peer) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("invariant: the semaphore is never closed");
        let mut rest = REST_MIN;
        loop {
            match self.listener.next().await {
                Ok((io, peer)) => return (Connection::new(io, self.limits, place), peer),
                // The client went away while it waited in the queue.
                Err(why) if why.kind() == ErrorKind::ConnectionAborted => {}
                Err(why) => {
                    self.exporter.refused("accept");
                    tracing::warn!(%why, "the admin server cannot take a connection; it rests before the next try");
                    sleep(rest).await;
                    rest = (rest * 2).min(REST_MAX);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::Unknown)
    }
}

/// One connection: gives its place back when dropped, fails when it is over its limits.
pub(super) struct Connection<I> {
    io: I,
    limits: Limits,
    end: Pin<Box<Sleep>>,
    /// Whether the request is in the hands of `routes`. Asked of them, not of the bytes: where a head ends the HTTP
    /// library alone knows, and it may wait for more than a reader of its bytes would think.
    arrived: Arc<AtomicBool>,
    /// When the head must have come.
    head_end: Pin<Box<Sleep>>,
    /// Bytes read while it had not.
    head_bytes: usize,
    /// Since when the client does not take what is written.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl<I> Connection<I> {
    fn new(io: I, limits: Limits, place: OwnedSemaphorePermit) -> Connection<I> {
        Connection {
            io,
            limits,
            end: Box::pin(sleep(limits.life)),
            arrived: Arc::default(),
            head_end: Box::pin(sleep(limits.head_time)),
            head_bytes: 0,
            stalled: None,
            _place: place,
        }
    }

    fn over(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let late =
            |sleep: &mut Pin<Box<Sleep>>, context: &mut Context<'_>| sleep.as_mut().poll(context).is_ready();
        if late(&mut self.end, context) {
            return Err(io::Error::new(ErrorKind::TimedOut, "the connection's time is over"));
        }
        if !self.arrived.load(Ordering::Acquire) && late(&mut self.head_end, context) {
            return Err(io::Error::new(ErrorKind::TimedOut, "the head of the request does not come"));
        }
        if self.stalled.as_mut().is_some_and(|stalled| late(stalled, context)) {
            return Err(io::Error::new(ErrorKind::TimedOut, "the client does not read"));
        }
        Ok(())
    }

    /// Takes note whether the client takes what is written.
    fn wrote<T>(&mut self, polled: Poll<T>, context: &mut Context<'_>) -> Poll<T> {
        if polled.is_ready() {
            self.stalled = None;
        } else if self.stalled.is_none() {
            let mut stalled = Box::pin(sleep(self.limits.stall));
            // So that the connection is looked at again when it is over.
            let _ = stalled.as_mut().poll(context);
            self.stalled = Some(stalled);
        }
        polled
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Connection<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.over(context)?;
        let is_head = !self.arrived.load(Ordering::Acquire);
        if is_head && self.head_bytes > self.limits.head_bytes_max {
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::InvalidData,
                "the head of the request is too long",
            )));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if is_head {
            self.head_bytes += buffer.filled().len() - before;
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Connection<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.over(context)?;
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.over(context)?;
        let polled = Pin::new(&mut self.io).poll_flush(context);
        self.wrote(polled, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
