//! A listener whose connections are few and short: neither many clients nor a silent one can hold the server.
//!
//! Owns the two limits, how many at once and how long each lives. Knows nothing of HTTP. Wraps both listeners in
//! `socket`.

use axum::serve::Listener;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// A listener with at most so many connections, each with an end.
pub(super) struct Limited<L> {
    listener: L,
    places: Arc<Semaphore>,
    life: Duration,
}

impl<L> Limited<L> {
    /// `listener`, with at most `connections_max` at once that live at most `life` each.
    pub(super) fn new(listener: L, connections_max: usize, life: Duration) -> Limited<L> {
        assert!(connections_max > 0, "a server without a place for anybody");
        Limited { listener, places: Arc::new(Semaphore::new(connections_max)), life }
    }
}

impl<L: Listener> Listener for Limited<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("invariant: the semaphore is never closed");
        let (io, address) = self.listener.accept().await;
        (Connection { io, end: Box::pin(sleep(self.life)), _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// One connection: gives its place back when dropped, fails when its time is over.
pub(super) struct Connection<I> {
    io: I,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<I> Connection<I> {
    fn over(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::TimedOut, "the connection's time is over")),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Connection<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.over(context)?;
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Connection<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.over(context)?;
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.over(context)?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
