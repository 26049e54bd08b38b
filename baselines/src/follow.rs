//! Following newcomers: what each does in a window is added to its file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::baseline::{Baseline, Found, Standing};
use crate::ladder::Ladder;
use crate::newcomer::{Circumstances, Newcomer, Subject};
use crate::observation::Observation;
use crate::watched::Watched;
use crate::window::Window;

impl Baseline {
    /// Follows newcomers: every row that is new or watched is added to the file of its subject. `found` says where each row
    /// stood before the window, `met` gives the circumstances of a first contact. Returns the subjects touched, in order.
    ///
    /// Call before [`Baseline::learn`] of the same window, which makes the rungs known.
    pub fn follow(
        &mut self,
        ladder: &Ladder,
        window: Window,
        rows: &[Observation],
        found: &[Found],
        mut met: impl FnMut(&Self, Subject, &Observation) -> Circumstances,
    ) -> Vec<Subject> {
        let mut touched: BTreeMap<Subject, (u64, u64)> = BTreeMap::new();
        let mut open: BTreeMap<Subject, Newcomer> = BTreeMap::new();
        for (row, found) in rows.iter().zip(found) {
            let subject = match found.standing {
                Standing::Settled => continue,
                Standing::Watched(subject) => subject,
                Standing::New(subject) => {
                    // Of several rows of it the first one is its first contact.
                    if !self.is_watched(subject) {
                        let circumstances = met(self, subject, row);
                        if self.is_watch_full() {
                            // Who says the least is judged by all of what was said.
                            self.close(std::mem::take(&mut open));
                        }
                        let newcomer = Newcomer::new(window, circumstances);
                        self.watch(ladder, subject, &newcomer);
                        open.insert(subject, newcomer);
                    }
                    subject
                }
            };
            if let Some(newcomer) = self.opened(subject, &mut open) {
                newcomer.add(row);
            }
            let (early, late) = touched.entry(subject).or_default();
            *early |= row.ports_early;
            *late |= row.ports_late;
        }
        for (&subject, &(early, late)) in &touched {
            if let Some(newcomer) = self.opened(subject, &mut open) {
                newcomer.held.extend(window, early, late);
            }
        }
        self.close(open);
        touched.into_keys().collect()
    }

    /// A newcomer among those open; one that is not is opened, unless it is not watched.
    fn opened<'a>(&self, subject: Subject, open: &'a mut BTreeMap<Subject, Newcomer>) -> Option<&'a mut Newcomer> {
        match open.entry(subject) {
            Entry::Occupied(newcomer) => Some(newcomer.into_mut()),
            Entry::Vacant(slot) => Some(slot.insert(self.newcomer(subject)?)),
        }
    }

    /// Closes newcomers that were opened.
    fn close(&mut self, open: BTreeMap<Subject, Newcomer>) {
        for (subject, newcomer) in open {
            if let Some(watched) = self.newcomers.get_mut(&subject) {
                *watched = Watched::close(&newcomer);
            }
        }
    }
}
