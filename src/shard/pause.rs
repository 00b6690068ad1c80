//! Which input partitions an operator has told this instance not to read.
//!
//! Owns that wish, and nothing survives it: a restart reads everything. May not stop anything by itself: lanes ask before
//! they hand records on. Written by the control plane.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is not to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Paused {
    /// Everything is read.
    #[default]
    Nothing,
    /// Nothing is read.
    Everything,
    /// These partitions are not read.
    Partitions(BTreeSet<u32>),
}

impl Paused {
    /// What is paused, in words; `None` when everything is read.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        match self {
            Paused::Nothing => None,
            Paused::Everything => Some("paused: no mention is read until `triaged ctl resume`".to_owned()),
            Paused::Partitions(partitions) => {
                let of: Vec<String> = partitions.iter().map(ToString::to_string).collect();
                let of = of.join(", ");
                Some(format!("paused: input partitions {of} are not read until `triaged ctl resume`"))
            }
        }
    }
}

/// The wish, shared by the control plane and the lanes.
#[derive(Debug, Default)]
pub struct Pause {
    now: Mutex<Paused>,
}

impl Pause {
    fn now(&self) -> MutexGuard<'_, Paused> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these partitions are not read; with none named, none is.
    pub fn pause(&self, partitions: &[u32]) {
        let mut now = self.now();
        *now = match (&*now, partitions) {
            (_, []) | (Paused::Everything, _) => Paused::Everything,
            (Paused::Nothing, more) => Paused::Partitions(more.iter().copied().collect()),
            (Paused::Partitions(known), more) => {
                Paused::Partitions(known.iter().chain(more).copied().collect())
            }
        };
    }

    /// Everything is read again.
    pub fn resume(&self) {
        *self.now() = Paused::Nothing;
    }

    /// Whether this partition is not to be read.
    #[must_use]
    pub fn holds(&self, partition: u32) -> bool {
        match &*self.now() {
            Paused::Nothing => false,
            Paused::Everything => true,
            Paused::Partitions(partitions) => partitions.contains(&partition),
        }
    }

    /// What is paused.
    #[must_use]
    pub fn paused(&self) -> Paused {
        self.now().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paused_adds_up_until_all_is_resumed() {
        let pause = Pause::default();
        assert!(!pause.holds(0));
        assert_eq!(pause.paused().told(), None);
        pause.pause(&[2]);
        pause.pause(&[3]);
        let told = pause.paused().told().expect("something is paused");
        assert!(told.starts_with("paused: input partitions 2, 3 are not read"), "{told}");
        assert_eq!((pause.holds(1), pause.holds(2), pause.holds(3)), (false, true, true));
        pause.pause(&[]);
        pause.pause(&[1]);
        assert!(pause.holds(7), "all stays all");
        pause.resume();
        assert_eq!(pause.paused(), Paused::Nothing);
    }
}
