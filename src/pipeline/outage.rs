//! That no broker answers, told once by the process and not by each of its threads: why, for how long, and when one is back.
//!
//! Owns when a line of it is due. May not ask a broker: threads say what they met. Held by `shared`.

/// Milliseconds between two lines while no broker answers.
const TOLD_AGAIN_MS: i64 = 30_000;

/// What is known of the brokers.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Since when none answers; `None` while one does.
    since_ms: Option<i64>,
    /// Why, as far as somebody has looked closer.
    why: Option<String>,
    /// Whether this outage was told of.
    told: bool,
    /// When the next line is due, also of the next outage: one that comes and goes is no reason for a line each time.
    due_ms: i64,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// No broker answers.
    Away {
        /// Why, as far as it is known.
        why: String,
        /// Seconds since the first who met none.
        for_s: i64,
    },
    /// One answers again.
    Back {
        /// Seconds for which none did.
        after_s: i64,
    },
}

impl Outage {
    /// Somebody met no broker, and was told `said` by the client.
    pub(super) fn met_none(&mut self, now_ms: i64, said: &str) -> Option<Line> {
        let since = *self.since_ms.get_or_insert(now_ms);
        if now_ms < self.due_ms {
            return None;
        }
        self.told = true;
        self.due_ms = now_ms + TOLD_AGAIN_MS;
        let why = self.why.clone().unwrap_or_else(|| said.to_owned());
        Some(Line::Away { why, for_s: (now_ms - since) / 1_000 })
    }

    /// Somebody looked closer and found why. The first to do so in an outage that was told of is told at once.
    pub(super) fn explained(&mut self, now_ms: i64, why: &str) -> Option<Line> {
        if self.why.replace(why.to_owned()).is_none() && self.told {
            self.due_ms = now_ms;
        }
        self.met_none(now_ms, why)
    }

    /// A broker has answered.
    pub(super) fn over(&mut self, now_ms: i64) -> Option<Line> {
        let since = self.since_ms.take()?;
        self.why = None;
        std::mem::take(&mut self.told).then_some(Line::Back { after_s: (now_ms - since) / 1_000 })
    }

    /// Whether no broker answers, as far as is known.
    pub(super) fn lasts(&self) -> bool {
        self.since_ms.is_some()
    }

    /// Why no broker answers, if somebody has looked closer.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(why: &str, for_s: i64) -> Option<Line> {
        Some(Line::Away { why: why.to_owned(), for_s })
    }

    #[test]
    fn an_outage_is_told_at_once_then_why_then_now_and_then_and_once_when_it_is_over() {
        let mut outage = Outage::default();
        assert_eq!(outage.met_none(7, "brokers are down"), away("brokers are down", 0));
        let mut lines = 1;
        for now in (10..70_000).step_by(10) {
            lines += i32::from(outage.met_none(now, "brokers are down").is_some());
            if now == 1_000 {
                assert_eq!(outage.explained(now, "nobody listens there"), away("nobody listens there", 0));
            } else if now % 5_000 == 0 {
                let why = format!("nobody listens there, after {now} ms");
                lines += i32::from(outage.explained(now, &why).is_some());
            }
        }
        assert_eq!(lines, 3, "of many thousand that met no broker");
        assert_eq!(outage.why(), Some("nobody listens there, after 65000 ms"), "the last to look is right");
        assert_eq!(outage.over(70_007), Some(Line::Back { after_s: 70 }));
        assert_eq!((outage.over(70_008), outage.lasts(), outage.why()), (None, false, None));
    }

    #[test]
    fn an_outage_that_comes_and_goes_is_not_told_each_time() {
        let mut outage = Outage::default();
        let mut lines = 0;
        for now in (0..60_000).step_by(500) {
            lines += i32::from(outage.met_none(now, "brokers are down").is_some());
            lines += i32::from(outage.over(now + 250).is_some());
        }
        assert_eq!(lines, 4, "two beginnings and their ends in a minute");
    }
}
