//! What rules, desks, queues and filters are once they are checked.
//!
//! Owns the closed lists of what a rule may assert. Made by `compile` alone; read by triage, desk, wire and the
//! verbs.

use super::{CalendarIndex, DeskIndex, QueueIndex};
use crate::text::Form;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every member.
            pub const ALL: [$name; [$($text),*].len()] = [$($name::$variant),*];

            /// The name in policy files and records.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The member with this name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.into_iter().find(|member| member.name() == name)
            }
        }
    };
}

names! {
    /// What a mention is about (product.md M11). The order decides between rules of equal priority.
    Category {
        /// Something went wrong for the author.
        Complaint = "complaint",
        /// Something does not work.
        Technical = "technical",
        /// An opinion or an idea.
        Feedback = "feedback",
        /// All else.
        General = "general",
    }
}

names! {
    /// Where the answer may be given (product.md M12). The order is from the strictest to the freest.
    Resolution {
        /// In a private channel only.
        Private = "private",
        /// Where the mention stands.
        Public = "public",
        /// Wherever the agent sees fit.
        Either = "either",
    }
}

names! {
    /// What a rule asks for.
    RuleAction {
        /// Tag the mention, no more.
        Tag = "tag",
        /// Keep it out of queues, reversibly.
        Noise = "noise",
        /// Do not handle it at all.
        Block = "block",
    }
}

names! {
    /// What must reach people whatever else matches (domain.md section 3). A rule of a class is never dropped and
    /// gives the tag of the class's name.
    RuleClass {
        /// Life and limb: fire, injury, threats.
        Safety = "safety",
        /// Lawyers, regulators, discrimination, breaches of data protection.
        Legal = "legal",
        /// Journalists and those who have told them.
        Press = "press",
    }
}

/// A named query and what it asserts of the mentions that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Unique in the policy.
    pub name: String,
    /// As written.
    pub query: String,
    /// Which form of texts its words are looked for in.
    pub form: Form,
    /// In the order of the file, each once; the tag of the rule's class last, unless the file has it earlier.
    pub tags: Vec<String>,
    /// What must reach people, if the rule is about that.
    pub class: Option<RuleClass>,
    /// What the mention is about, if the rule says so.
    pub category: Option<Category>,
    /// 0 to 100, if the rule says so.
    pub priority: Option<u8>,
    /// Where the answer may be given, if the rule says so.
    pub resolution: Option<Resolution>,
    /// What the rule asks for.
    pub action: RuleAction,
    /// Outranks noise, block and blocked authors. Always so for a rule of a class.
    pub never_drop: bool,
    /// The tags as numbers of the policy's tag table, ascending.
    pub(super) tag_numbers: Vec<u32>,
}

/// A routing group that shares agents; its queues, cases and timers live in one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    /// Unique in the policy, and part of a topic's name.
    pub name: String,
    /// The partition of the desk log, fixed for the desk's life; several desks may share one.
    pub log_partition: u32,
    /// How long a case may be without activity before it lapses.
    pub case_lapse_ms: i64,
    /// How many mentions one case may hold before the next opens another.
    pub mentions_per_case_max: u32,
    /// When it is open; always, without one.
    pub calendar: Option<CalendarIndex>,
}

/// What a desk's cases need of its policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskLimits {
    /// The desk's name.
    pub name: String,
    /// How long a case may be without activity before it lapses.
    pub case_lapse_ms: i64,
    /// How many mentions one case may hold before the next opens another.
    pub mentions_per_case_max: u32,
}

impl From<&Desk> for DeskLimits {
    fn from(desk: &Desk) -> DeskLimits {
        let Desk { name, case_lapse_ms, mentions_per_case_max, .. } = desk.clone();
        DeskLimits { name, case_lapse_ms, mentions_per_case_max }
    }
}

/// Waiting cases of a desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Unique in the policy.
    pub name: String,
    /// Whose queue it is.
    pub desk: DeskIndex,
    /// The priority of cases for which no rule gives one, 0 to 100.
    pub priority: u8,
    /// Where answers may be given when no rule says so.
    pub resolution: Resolution,
}

/// A workflow filter: the first whose condition holds decides the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Unique in the policy.
    pub name: String,
    /// The condition as written.
    pub when: String,
    /// Where its mentions go.
    pub queue: QueueIndex,
}
