//! Following: what an owner does with what is new to it or watched.
//!
//! Where it sits: between a window's rows and the files of newcomers, before the window is learned.
//! What it does not do: it judges nothing and makes nothing known.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::baseline::{Baselines, Standing};
use crate::newcomer::{Newcomer, Subject};
use crate::observation::Observation;
use crate::watched::Watched;
use crate::window::Window;

impl Baselines {
    /// Follows newcomers: every row that is new or watched is added to the file of its subject. `met` gives the
    /// circumstances of a first contact. Returns the subjects touched, in order.
    ///
    /// Call before [`Baselines::learn`] of the same window, which makes the rungs known.
    pub fn follow(
        &mut self,
        owner: u32,
        window: Window,
        rows: &[Observation],
        mut met: impl FnMut(&Self, Subject, &Observation) -> crate::newcomer::Circumstances,
    ) -> Vec<Subject> {
        let mut touched: BTreeMap<Subject, (u64, u64)> = BTreeMap::new();
        let mut open: BTreeMap<Subject, Newcomer> = BTreeMap::new();
        for row in rows {
            let subject = match self.standing(owner, row) {
                Standing::Settled => continue,
                Standing::Watched(subject) => subject,
                Standing::New(subject) => {
                    let circumstances = met(self, subject, row);
                    if self.is_watch_full(owner) {
                        // Who says the least is judged by all of what was said.
                        self.close(owner, std::mem::take(&mut open));
                    }
                    self.watch(owner, subject, &Newcomer::new(window, circumstances));
                    subject
                }
            };
            if let Some(newcomer) = self.opened(owner, subject, &mut open) {
                newcomer.add(row);
            }
            let (early, late) = touched.entry(subject).or_default();
            *early |= row.ports_early;
            *late |= row.ports_late;
        }
        for (&subject, &(early, late)) in &touched {
            if let Some(newcomer) = self.opened(owner, subject, &mut open) {
                newcomer.held.extend(window, early, late);
            }
        }
        self.close(owner, open);
        touched.into_keys().collect()
    }

    /// A newcomer among those open; one that is not is opened, unless it is not watched.
    fn opened<'a>(
        &self,
        owner: u32,
        subject: Subject,
        open: &'a mut BTreeMap<Subject, Newcomer>,
    ) -> Option<&'a mut Newcomer> {
        match open.entry(subject) {
            Entry::Occupied(newcomer) => Some(newcomer.into_mut()),
            Entry::Vacant(slot) => Some(slot.insert(self.newcomer(owner, subject)?)),
        }
    }

    /// Closes newcomers that were opened.
    fn close(&mut self, owner: u32, open: BTreeMap<Subject, Newcomer>) {
        for (subject, newcomer) in open {
            if let Some(watched) = self.newcomers.get_mut(&(owner, subject)) {
                *watched = Watched::close(&newcomer);
            }
        }
    }
}
