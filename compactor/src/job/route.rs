//! From batches to row groups, each of one partition.
//!
//! A batch is divided by what its rows say; every partition has an encoder of its own. How many are open, and how much
//! memory they hold together, is bounded: the largest is closed early, and its small row group is put together with its
//! neighbours when files are written. All of it is a function of the rows and the recipe.

use crate::columns::Batch;
use crate::error::Error;
use crate::members::{MemberRows, add_rows};
use crate::partition::{Place, Placer};
use crate::recipe::Recipe;
use crate::row_groups::{Fragment, FragmentWriter};
use crate::spool::Spool;
use arrow_array::{Array as _, StringArray, UInt32Array};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Encoders that are open at once, in one thread. Each holds a page of every column.
const MAX_OPEN: usize = 64;

/// Writes row groups of partitions.
pub(super) struct Router {
    recipe: Arc<Recipe>,
    spool: Spool,
    placer: Placer,
    by_rows: bool,
    open: BTreeMap<Place, FragmentWriter>,
    /// Rows whose folder does not tell all of what they are partitioned by.
    pub(super) untold: u64,
}

impl Router {
    pub(super) fn new(recipe: &Arc<Recipe>, spool: Spool) -> Self {
        let placer = Placer::new(&recipe.partition_by);
        let by_rows = placer.fields().next().is_some();
        Self { recipe: Arc::clone(recipe), spool, placer, by_rows, open: BTreeMap::new(), untold: 0 }
    }

    /// Appends a batch, whose rows are of these members. Returns row groups that are complete by that.
    pub(super) fn write(&mut self, batch: Batch, members: &[MemberRows]) -> Result<Vec<Fragment>, Error> {
        if !self.by_rows {
            return self.write_to(&self.placer.place(&[]), batch, members);
        }
        let mut done = Vec::new();
        for (place, rows) in self.places(&batch) {
            if !Placer::is_told(&place) {
                self.untold += rows.len() as u64;
            }
            let whole = rows.len() == batch.columns.num_rows();
            let members = pick(members, &rows);
            let part = if whole { batch.clone() } else { batch.pick(&UInt32Array::from(rows))? };
            done.extend(self.write_to(&place, part, &members)?);
            done.extend(self.make_room()?);
        }
        Ok(done)
    }

    fn write_to(&mut self, place: &Place, batch: Batch, members: &[MemberRows]) -> Result<Vec<Fragment>, Error> {
        let writer = self
            .open
            .entry(place.clone())
            .or_insert_with(|| FragmentWriter::new(Arc::clone(&self.recipe), self.spool.clone(), place.clone()));
        writer.write(batch, members)
    }

    /// The rows of every place that the batch has rows of.
    fn places(&self, batch: &Batch) -> BTreeMap<Place, Vec<u32>> {
        let columns: Vec<StringArray> = self.placer.fields().map(|path| batch.texts(path)).collect();
        let mut known: HashMap<Vec<Option<&str>>, usize> = HashMap::new();
        let mut rows: Vec<Vec<u32>> = Vec::new();
        let mut values = Vec::with_capacity(columns.len());
        for row in 0..batch.columns.num_rows() {
            values.clear();
            values.extend(columns.iter().map(|column| column.is_valid(row).then(|| column.value(row))));
            let at = match known.get(&values) {
                Some(at) => *at,
                None => {
                    known.insert(values.clone(), rows.len());
                    rows.push(Vec::new());
                    rows.len() - 1
                }
            };
            // A batch has far fewer rows than 2^32.
            rows[at].push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        // Several values may have one place, as the times of an hour do.
        let mut places: BTreeMap<Place, Vec<u32>> = BTreeMap::new();
        for (values, at) in known {
            places.entry(self.placer.place(&values)).or_default().append(&mut rows[at]);
        }
        places.values_mut().for_each(|rows| rows.sort_unstable());
        places
    }

    /// Closes the largest encoders until those that are open are within their bounds.
    fn make_room(&mut self) -> Result<Vec<Fragment>, Error> {
        let mut done = Vec::new();
        let max_bytes = self.recipe.group_bytes.max(1 << 20);
        let mut bytes: usize = self.open.values().map(FragmentWriter::memory).sum();
        while self.open.len() > MAX_OPEN || (self.open.len() > 1 && bytes > max_bytes) {
            // Of equals, the first by place: the last one that `max_by_key` sees.
            let largest = self.open.iter().rev().max_by_key(|(_, writer)| writer.memory());
            let Some(place) = largest.map(|(place, _)| place.clone()) else { break };
            if let Some(mut writer) = self.open.remove(&place) {
                bytes -= writer.memory().min(bytes);
                done.extend(writer.close()?);
            }
        }
        Ok(done)
    }

    /// Completes the row groups that are open.
    pub(super) fn close(&mut self) -> Result<Vec<Fragment>, Error> {
        let mut done = Vec::new();
        for (_, mut writer) in std::mem::take(&mut self.open) {
            done.extend(writer.close()?);
        }
        Ok(done)
    }

    /// Forgets the row groups that are open.
    pub(super) fn discard(&mut self) {
        self.open.clear();
    }
}

/// The members of some of the rows, which are in order.
fn pick(members: &[MemberRows], rows: &[u32]) -> Vec<MemberRows> {
    let (mut picked, mut end, mut rows) = (Vec::new(), 0, rows.iter().peekable());
    for run in members {
        end += run.rows;
        let mut count = 0;
        while rows.next_if(|row| **row < end).is_some() {
            count += 1;
        }
        if count > 0 {
            add_rows(&mut picked, MemberRows { rows: count, ..*run });
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Bounds, Builder};

    fn router(by: &str, memory_bytes: usize) -> Router {
        let at = |text: &str| text.parse().expect("a location");
        let mut settings = crate::Settings::new(at("/raw"), at("/parquet"));
        settings.partition_by = vec![by.parse().expect("a field")];
        settings.memory_bytes = memory_bytes;
        let spool = Spool::new(std::env::temp_dir(), 1 << 30);
        Router::new(&Arc::new(Recipe::of(&settings)), spool)
    }

    fn batch(rows: impl Iterator<Item = String>) -> Batch {
        let mut builder = Builder::new(Bounds { max_columns: 10, max_nesting: 8 }, 64, 1000);
        rows.for_each(|row| builder.append(&row).expect("a row"));
        builder.finish().expect("a batch")
    }

    fn counts(fragments: &[Fragment]) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for fragment in fragments {
            let place: Vec<&str> = fragment.place.iter().map(|value| value.as_deref().unwrap_or("-")).collect();
            *counts.entry(place.join(",")).or_insert(0) += fragment.rows;
        }
        counts
    }

    #[test]
    fn every_row_goes_to_its_partition() {
        let mut router = router("site", 512 << 20);
        let mut done = Vec::new();
        for round in 0..3 {
            let rows = (0..100).map(|n| match n % 4 {
                0 => format!("{{\"site\":\"a\",\"n\":{n}}}"),
                1 => format!("{{\"site\":{round},\"n\":{n}}}"),
                2 => format!("{{\"site\":\"\",\"n\":{n}}}"),
                _ => format!("{{\"n\":{n}}}"),
            });
            done.extend(router.write(batch(rows), &[]).expect("row groups"));
        }
        done.extend(router.close().expect("row groups"));
        let expected = [("", 75), ("-", 75), ("0", 25), ("1", 25), ("2", 25), ("a", 75)];
        assert_eq!(counts(&done), expected.map(|(place, rows)| (place.to_owned(), rows)).into());
        assert_eq!(router.untold, 75);
    }

    #[test]
    fn open_encoders_are_bounded_and_no_row_is_lost() {
        let mut router = router("n", 64 << 20);
        let mut done = Vec::new();
        for from in [0, 500] {
            done.extend(
                router.write(batch((from..from + 1000).map(|n| format!("{{\"n\":{n}}}"))), &[]).expect("row groups"),
            );
            assert!(router.open.len() <= MAX_OPEN);
        }
        done.extend(router.close().expect("row groups"));
        let counts = counts(&done);
        assert_eq!((counts.len(), counts.values().sum::<u64>()), (1500, 2000));
        assert_eq!(counts["700"], 2);
    }

    #[test]
    fn times_of_one_hour_are_one_partition_in_the_order_of_their_rows() {
        let mut router = router("at:hour", 512 << 20);
        let rows = (0..600).map(|n| format!("{{\"at\":\"2026-11-23T{:02}:{:02}:00Z\",\"n\":{n}}}", 5 + n % 2, n % 60));
        router.write(batch(rows), &[]).expect("row groups");
        let done = router.close().expect("row groups");
        assert_eq!(counts(&done), BTreeMap::from([("2026-11-23,05".into(), 300), ("2026-11-23,06".into(), 300)]));
    }

    #[test]
    fn rows_stay_with_their_members() {
        let run = |member, rows| MemberRows { member, rows };
        let members = [run(Some(0), 3), run(None, 2), run(Some(1), 1), run(Some(2), 4)];
        assert_eq!(pick(&members, &[0, 2, 4, 6, 9]), [run(Some(0), 2), run(None, 1), run(Some(2), 2)]);
        assert_eq!(pick(&members, &(0..10).collect::<Vec<_>>()), members);
        assert_eq!(pick(&[], &[1, 2]), []);
    }
}
