//! What became of an input record: closed lists, with the numbers that the ledger stores.
//!
//! Owns the names as they appear in metrics, ledgers and docs. A number is never reused.

use serde::{Deserialize, Serialize};

macro_rules! closed_list {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant = $code,)* }

        impl $name {
            /// Every member, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name as users read it, in metrics and records.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The number that binary formats store.
            #[must_use]
            pub fn code(self) -> u8 { self as u8 }

            /// The member with this number, if there is one.
            #[must_use]
            pub fn from_code(code: u8) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }
        }
    };
}

closed_list! {
    /// What became of a mention (domain.md section 1).
    Disposition {
        /// Handed to a desk.
        Queued = 1, "queued";
        /// Member of a storm.
        Joined = 2, "joined";
        /// Kept out of queues by a rule, reversibly.
        Noise = 3, "noise";
        /// Own or blocked author, or a rule that blocks.
        Blocked = 4, "blocked";
        /// A copy of a mention seen inside the window.
        Duplicate = 5, "duplicate";
        /// Could not be read; the reason says why.
        DeadLetter = 6, "dead_letter";
        /// Lost to the broker's retention before it was read.
        Expired = 7, "expired";
    }
}

closed_list! {
    /// What became of a helpdesk event (domain.md section 1).
    EventDisposition {
        /// Changed a case or an agent.
        Applied = 1, "applied";
        /// Had been applied before.
        Repeated = 2, "repeated";
        /// Came from an assignment that is over.
        Fenced = 3, "fenced";
        /// Names a case that is not open here.
        UnknownCase = 4, "unknown_case";
        /// Of a type that this release does not act on.
        Ignored = 5, "ignored";
        /// Could not be read.
        DeadLetter = 6, "dead_letter";
    }
}

closed_list! {
    /// Why a record became a dead letter.
    DeadLetterReason {
        /// The record has no value (a tombstone).
        Empty = 1, "empty";
        /// Longer than `mention_bytes_max`.
        TooLarge = 2, "too_large";
        /// Bytes that are not UTF-8.
        InvalidUtf8 = 3, "invalid_utf8";
        /// Not JSON, by both parsers.
        NotJson = 4, "not_json";
        /// JSON, but not an object.
        NotAnObject = 5, "not_an_object";
        /// Nested deeper than the limit.
        TooDeep = 6, "too_deep";
        /// A mandatory field is absent.
        MissingField = 7, "missing_field";
        /// A field has a type or value that cannot be read.
        InvalidField = 8, "invalid_field";
        /// Killed the process when read; found and set aside at the third start.
        Crashed = 9, "crashed";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_as_the_member_it_was_written_for() {
        for &d in Disposition::ALL {
            assert_eq!(Disposition::from_code(d.code()), Some(d));
        }
        for &r in DeadLetterReason::ALL {
            assert_eq!(DeadLetterReason::from_code(r.code()), Some(r));
        }
        for &e in EventDisposition::ALL {
            assert_eq!(EventDisposition::from_code(e.code()), Some(e));
        }
        assert_eq!(Disposition::from_code(0), None);
    }
}
