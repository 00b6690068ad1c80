//! Ctrl-C for verbs that read until somebody has seen enough: asked once they end in good order, asked twice at once.
//!
//! Owns the thread that listens. May not end anything by itself but at the second asking. The daemon has ears of its own
//! (`pipeline`), which also reload. Called by `files`, `tap` and `release`.

use crate::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code at the second asking: not everything was done.
const IMPATIENT: i32 = 75;

/// Whether somebody has asked this process to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from here on.
    ///
    /// # Errors
    /// 75 when the system gives no thread or no signals.
    pub fn listen() -> Result<Interrupt, Error> {
        let unheard = |error: &std::io::Error| Error::try_again(format!("signals cannot be heard: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(|error| unheard(&error))?;
        let interrupt = Interrupt::default();
        let ours = interrupt.clone();
        let (told, heard) = std::sync::mpsc::channel();
        let work = move || {
            runtime.block_on(async {
                let kinds = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
                let (mut terminate, mut interrupt) = match kinds {
                    [Ok(terminate), Ok(interrupt)] => (terminate, interrupt),
                    [Err(error), _] | [_, Err(error)] => return drop(told.send(Err(error))),
                };
                let _ = told.send(Ok(()));
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                    if ours.asked.swap(true, Ordering::AcqRel) {
                        std::process::exit(IMPATIENT);
                    }
                }
            });
        };
        std::thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(work)
            .map_err(|error| unheard(&error))?;
        match heard.recv() {
            Ok(Ok(())) => Ok(interrupt),
            Ok(Err(error)) => Err(unheard(&error)),
            Err(_) => Err(Error::try_again("signals cannot be heard")),
        }
    }

    /// Whether it is time to end.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}
