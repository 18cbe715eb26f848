//! Of rows with the same values of some fields, all but the first are left out.
//!
//! A key of 16 bytes a row is kept beside every row group. Once all of a plan is read, keys are compared a part of them at
//! a time, so that memory holds; which row is the first depends on the plan's order alone.

use crate::columns::Batch;
use crate::error::Error;
use crate::field_path::FieldPath;
use crate::job::UnitRead;
use crate::spool::Spool;
use arrow_array::{Array as _, StringArray};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of a key: of 2^40 rows, two that differ have one key with a probability of 2^-49.
const KEY: usize = 16;

/// Bytes of memory that a key takes in a set, about.
const KEY_IN_SET: usize = 40;

/// Appends the key of each row of `batch`. Where every field is null or missing, that is the key of no other row.
pub(crate) fn append_keys(batch: &Batch, fields: &[FieldPath], keys: &mut Vec<u8>) {
    let columns: Vec<StringArray> = fields.iter().map(|path| batch.texts(path)).collect();
    for row in 0..batch.columns.num_rows() {
        if columns.iter().all(|column| column.is_null(row)) {
            keys.extend_from_slice(&[0; KEY]);
            continue;
        }
        let mut digest = Sha256::new();
        for column in &columns {
            match column.is_valid(row).then(|| column.value(row)) {
                None => digest.update([0]),
                Some(text) => {
                    digest.update([1]);
                    digest.update((text.len() as u64).to_le_bytes());
                    digest.update(text);
                }
            }
        }
        keys.extend(digest.finalize().iter().take(KEY));
    }
}

/// Marks the rows that are left out, beside those that are already, in all row groups that have keys. Takes about `memory_bytes`. To be called on a
/// thread that may block.
///
/// # Errors
/// Those of the spool.
pub(crate) fn mark(units: &mut [UnitRead], spool: &Spool, memory_bytes: usize) -> Result<(), Error> {
    let fragments = || units.iter().flat_map(|unit| &unit.fragments);
    let rows: u64 = fragments().filter(|fragment| fragment.keys.is_some()).map(|fragment| fragment.rows).sum();
    let at_once = (memory_bytes / KEY_IN_SET).max(1) as u64;
    let parts = rows.div_ceil(at_once).max(1);
    let mut dropped: Vec<Vec<u32>> = vec![Vec::new(); fragments().count()];
    for part in 0..parts {
        let mut seen: HashSet<[u8; KEY]> = HashSet::new();
        for (fragment, dropped) in fragments().zip(&mut dropped) {
            let Some(blob) = &fragment.keys else { continue };
            let keys = spool.get(blob)?;
            for (row, key) in (0u32..).zip(keys.chunks_exact(KEY)) {
                if fragment.dropped.binary_search(&row).is_ok() {
                    continue;
                }
                let Ok(key) = <[u8; KEY]>::try_from(key) else { continue };
                let [a, b, c, d, ..] = key;
                let is_part = u64::from(u32::from_le_bytes([a, b, c, d])) % parts == part;
                if is_part && key != [0; KEY] && !seen.insert(key) {
                    dropped.push(row);
                }
            }
        }
    }
    let all = units.iter_mut().flat_map(|unit| &mut unit.fragments);
    for (fragment, mut rows) in all.zip(dropped) {
        rows.extend_from_slice(&fragment.dropped);
        rows.sort_unstable();
        fragment.dropped = Arc::from(rows);
        fragment.keys = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Bounds, Builder, Table};
    use crate::row_groups::Fragment;

    fn keys(rows: &[&str], fields: &[&str]) -> Vec<Vec<u8>> {
        let mut builder = Builder::new(Bounds { max_columns: 10, max_nesting: 8 }, 64, 100);
        rows.iter().for_each(|row| builder.append(row).expect("a row"));
        let fields: Vec<FieldPath> = fields.iter().map(|field| field.parse().expect("a field")).collect();
        let mut keys = Vec::new();
        append_keys(&builder.finish().expect("a batch"), &fields, &mut keys);
        keys.chunks(KEY).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn keys_are_those_of_the_fields_and_nothing_runs_together() {
        let rows = [
            r#"{"a":"x","b":"yz","c":1}"#,
            r#"{"c":2,"b":"yz","a":"x"}"#,
            r#"{"a":"xy","b":"z"}"#,
            r#"{"a":"xyz"}"#,
            r#"{"b":"xyz"}"#,
            r#"{"a":"xyz","b":""}"#,
            r#"{"c":3}"#,
        ];
        let keys = keys(&rows, &["a", "b"]);
        assert_eq!(keys[0], keys[1]);
        let distinct: HashSet<&Vec<u8>> = keys.iter().collect();
        assert_eq!(distinct.len(), 6);
        assert_eq!(keys[6], [0; KEY]);
    }

    #[test]
    fn all_but_the_first_are_marked_however_little_memory_there_is() {
        let rows: Vec<String> = (0..3000).map(|n| format!("{{\"k\":{}}}", (n * 7) % 1000)).collect();
        let texts: Vec<&str> = rows.iter().map(String::as_str).collect();
        for memory in [1 << 20, 10_000, 1] {
            let spool = Spool::new(std::env::temp_dir(), 1 << 20);
            let fragment = |rows: &[&str]| Fragment {
                blob: spool.put(Vec::new()).expect("kept"),
                rows: rows.len() as u64,
                table: Table::default(),
                has_overflow: false,
                place: Arc::new([]),
                members: Vec::new(),
                keys: Some(spool.put(keys(rows, &["k"]).concat()).expect("kept")),
                dropped: Arc::new([]),
            };
            let unit = |rows: &[&str]| UnitRead { fragments: vec![fragment(rows)], ..UnitRead::default() };
            let mut units = vec![unit(&texts[..1500]), unit(&texts[1500..])];
            mark(&mut units, &spool, memory).expect("marked");
            let dropped: Vec<&[u32]> = units.iter().map(|unit| &*unit.fragments[0].dropped).collect();
            // The first thousand are all different, and all others come again.
            assert!(dropped[0].iter().copied().eq(1000..1500), "{memory}");
            assert!(dropped[1].iter().copied().eq(0..1500), "{memory}");
        }
    }
}
