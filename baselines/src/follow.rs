//! Following newcomers: what each does in a window is added to its file.

use std::collections::BTreeMap;

use crate::baseline::{Baseline, Learned};
use crate::bounds::Gone;
use crate::ladder::{Ladder, is_private};
use crate::newcomer::{Circumstances, Newcomer, Subject};
use crate::observation::Observation;
use crate::standing::{Found, Standing};
use crate::watched::Watched;
use crate::window::Window;

/// Newcomers of one owner, unpacked. The changes of several windows collect here, so that each newcomer is packed only
/// once. Their memory serves one owner after the other.
#[derive(Debug, Default)]
pub struct Open {
    /// The place of each file that is open, by its subject [packed](Subject::packed).
    places: Vec<(u64, u32)>,
    /// Subjects and files by place: as many as are open, then what is left over from others.
    files: Vec<(Subject, Newcomer)>,
    /// Where files are packed.
    room: Vec<u8>,
    /// Newcomers that there was no room for any more.
    gone: Gone,
}

impl Open {
    /// The file of a newcomer met since these were opened.
    pub fn get(&self, subject: Subject) -> Option<&Newcomer> {
        let place = self.find(subject).ok()?;
        self.files.get(place).map(|(_, file)| file)
    }

    fn get_mut(&mut self, subject: Subject) -> Option<&mut Newcomer> {
        let place = self.find(subject).ok()?;
        self.files.get_mut(place).map(|(_, file)| file)
    }

    /// The place of a subject's file; where among the others it belongs if it is not open.
    fn find(&self, subject: Subject) -> Result<usize, usize> {
        let at = self.places.binary_search_by_key(&subject.packed(), |(of, _)| *of)?;
        self.places.get(at).map(|(_, place)| *place as usize).ok_or(at)
    }

    /// Opens a file that belongs there among the others; it says what is left over from another one until it is filled.
    #[expect(clippy::indexing_slicing, reason = "there are more files than are open before this one")]
    fn add(&mut self, at: usize, subject: Subject) -> &mut Newcomer {
        let place = self.places.len();
        self.places.insert(at, (subject.packed(), place as u32));
        if self.files.len() == place {
            self.files.push((subject, Newcomer::default()));
        }
        let (of, file) = &mut self.files[place];
        *of = subject;
        file
    }
}

impl Baseline {
    /// Follows newcomers: every row that is new or watched is added to the file of its subject, which is open then
    /// until [`Baseline::close`]. `found` says where each row stood before the window, `met` gives the circumstances of
    /// a first contact. Returns the subjects touched, in order.
    ///
    /// Call before [`Baseline::learn`] of the same window, which makes the rungs known.
    pub fn follow(
        &mut self,
        ladder: &Ladder,
        window: Window,
        rows: &[Observation],
        found: &[Found],
        open: &mut Open,
        mut met: impl FnMut(&Self, Subject, &Observation) -> Circumstances,
    ) -> Vec<Subject> {
        // Subject by subject: each file is looked for once.
        let mut of_subject = Vec::with_capacity(found.len());
        let subject = |(at, found): (u32, &Found)| Some((found.standing.subject()?.packed(), at));
        of_subject.extend((0..).zip(found).filter_map(subject));
        of_subject.sort_unstable();
        let may_be_too_many = self.has_no_room_to_watch(of_subject.len());
        if may_be_too_many {
            // Who comes when there is no room decides who goes: the order must speak of addresses, not of numbers.
            let mut first: BTreeMap<u64, u32> = BTreeMap::new();
            for &(subject, at) in &of_subject {
                first.entry(subject).or_insert(at);
            }
            of_subject.sort_by_key(|(subject, _)| first.get(subject).copied());
        }
        let mut touched = Vec::with_capacity(of_subject.len());
        for of_subject in of_subject.chunk_by(|a, b| a.0 == b.0) {
            let told = || of_subject.iter().filter_map(|&(_, at)| rows.get(at as usize));
            let first = of_subject.first().and_then(|&(_, at)| found.get(at as usize));
            let (Some(Found { standing, .. }), Some(first_row)) = (first, told().next()) else { continue };
            let Some(subject) = standing.subject() else { continue };
            let is_new = matches!(standing, Standing::New(_));
            if is_new && !self.is_watched(subject) {
                let circumstances = met(self, subject, first_row);
                if self.has_no_room_to_watch(1) {
                    // Room is made by forgetting the newcomers that say the least, going by their files: what this hour
                    // added to those that are open must be in them first.
                    self.close_files(open);
                }
                self.watch(ladder, subject, window, &mut open.gone);
                if let Err(at) = open.find(subject) {
                    open.add(at, subject);
                }
                if let Some(newcomer) = open.get_mut(subject) {
                    newcomer.begin(window, circumstances);
                }
            }
            if let Some(newcomer) = self.opened(subject, open) {
                let (mut early, mut late) = (0, 0);
                for row in told() {
                    newcomer.add(row);
                    early |= row.ports_early;
                    late |= row.ports_late;
                }
                let before = newcomer.held;
                newcomer.held.extend(window, early, late);
                // What has ended and was never told of is how the owner holds connections.
                let has_ended = newcomer.held.since != before.since && newcomer.finding == 0;
                if has_ended && before.is_one_connection() && !is_private(ladder.rungs(first_row.peer).address) {
                    self.longest_held_secs = self.longest_held_secs.max(before.secs() as u32);
                }
            }
            touched.push(subject);
        }
        if may_be_too_many {
            touched.sort_unstable();
        }
        touched
    }

    /// A newcomer among those open; one that is not is opened, unless it is not watched.
    fn opened<'a>(&self, subject: Subject, open: &'a mut Open) -> Option<&'a mut Newcomer> {
        let Err(at) = open.find(subject) else { return open.get_mut(subject) };
        let watched = self.newcomers.get(&subject)?;
        let newcomer = open.add(at, subject);
        watched.open_in(newcomer);
        Some(newcomer)
    }

    /// Puts a newcomer under a finding, in its file and where it is open. That it is no longer among what others may
    /// think familiar concerns the fleet and is added to `learned`.
    pub fn set_finding(&mut self, open: &mut Open, subject: Subject, finding: u128, learned: &mut Learned) {
        self.note_told(subject, learned);
        if let Some(newcomer) = open.get_mut(subject) {
            newcomer.finding = finding;
        }
        if let Some(newcomer) = self.newcomers.get_mut(&subject) {
            newcomer.set_finding(finding);
        }
    }

    /// Closes newcomers that were opened, and forgets those that there was no room for: call when the owner's hour is
    /// over. Where anything is forgotten, numbers of its tables given before are void afterwards, and what concerns the
    /// fleet is added to `learned`.
    pub fn close(&mut self, ladder: &Ladder, open: &mut Open, learned: &mut Learned) {
        self.close_files(open);
        self.forget(ladder, &mut open.gone, learned);
    }

    /// The same, but nothing is forgotten.
    pub(crate) fn close_files(&mut self, open: &mut Open) {
        let Open { places, files, room, .. } = open;
        for (_, place) in places.drain(..) {
            if let Some((subject, newcomer)) = files.get(place as usize)
                && let Some(watched) = self.newcomers.get_mut(subject)
            {
                *watched = Watched::close_in(room, newcomer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Mode, Told, learned};

    /// The longest one connection was held, of what begins at these windows and lasts so many.
    fn longest(to: (u8, u8, u8), is_odd: bool, runs: &[(u32, u32)]) -> u32 {
        let told = |window| Told { window, owner: 0, to, port: 443, n_flows: 1, bytes: 100, ports: (4, 4), is_odd };
        let windows = runs.iter().flat_map(|&(begun, n)| begun..begun + n);
        let baselines = learned(&windows.map(told).collect::<Vec<_>>(), Mode::Watch);
        baselines.iter().map(|(_, baseline)| baseline.longest_held_secs).max().unwrap_or(0)
    }

    #[test]
    fn the_longest_connection_to_a_newcomer_is_remembered_when_it_has_ended() {
        assert_eq!(longest((1, 0, 0), false, &[(10, 9)]), 0, "it may go on");
        assert_eq!(longest((1, 0, 0), false, &[(10, 9), (30, 4), (40, 1)]), 9 * 600);
        assert_eq!(longest((0, 0, 0), false, &[(10, 9), (30, 1)]), 0, "inside the VPC all are held");
        assert_eq!(longest((1, 0, 0), true, &[(10, 9), (30, 1)]), 0, "what is told is no habit");
    }
}
