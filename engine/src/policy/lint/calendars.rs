//! Calendars that nothing keeps.
//!
//! Owns that finding: what a desk does not name decides nothing, whatever hours and holidays it has. May not read hours,
//! which `policy::calendar` checks. Called by `lint`.

use super::{LintKind, Linter};
use crate::policy::file::Files;

impl Linter<'_> {
    pub(super) fn calendars(&mut self, files: &Files) {
        let kept = |calendar: &str| {
            files.desks.iter().filter_map(|desk| desk.calendar.as_ref()).any(|named| named.value == calendar)
        };
        for calendar in &files.calendars {
            let Some(name) = calendar.name.as_ref().filter(|name| !kept(&name.value)) else { continue };
            let what = format!("no desk keeps the calendar `{}`", name.value);
            let hint = "name it in a [[desk]] with calendar = \"…\", or remove it";
            self.note(LintKind::UnusedCalendar, &name.place, what, hint);
        }
    }
}
