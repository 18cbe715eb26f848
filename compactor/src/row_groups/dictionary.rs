//! The distinct values of a column, in the order in which they were first seen.

use crate::same::same;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;
use std::ops::Range;

/// Values as a dictionary page has them: each behind its length, four bytes, the least first.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    hasher: DefaultHashBuilder,
    table: HashTable<Entry>,
    page: Vec<u8>,
    count: u32,
    last: Option<(Entry, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    length: u32,
    index: u32,
    /// The data page in which it was last seen.
    seen_in: u32,
}

impl Entry {
    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }
}

impl Dictionary {
    /// The index of a value, and whether it was not seen in data page `page` before.
    #[inline]
    pub(super) fn index(&mut self, value: &[u8], page: u32) -> (u32, bool) {
        if let Some((last, in_page)) = self.last
            && in_page == page
            && self.page.get(last.range()).is_some_and(|last| same(last, value))
        {
            return (last.index, false);
        }
        let Self { hasher, table, page: bytes, .. } = self;
        let hash = hasher.hash_one(value);
        let found = table.find_mut(hash, |entry| bytes.get(entry.range()).is_some_and(|known| same(known, value)));
        let (entry, is_new) = match found {
            Some(entry) => {
                let is_new = entry.seen_in != page;
                entry.seen_in = page;
                (*entry, is_new)
            }
            None => (self.add(value, hash, page), true),
        };
        self.last = Some((entry, page));
        (entry.index, is_new)
    }

    #[cold]
    fn add(&mut self, value: &[u8], hash: u64, page: u32) -> Entry {
        // A batch's strings are bounded at 2 GiB, and a dictionary ends when it is larger than a page.
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.page.extend_from_slice(&length.to_le_bytes());
        let start = u32::try_from(self.page.len()).unwrap_or(u32::MAX);
        self.page.extend_from_slice(value);
        let entry = Entry { start, length, index: self.count, seen_in: page };
        self.count += 1;
        let Self { hasher, table, page: bytes, .. } = self;
        let rehash = |entry: &Entry| hasher.hash_one(bytes.get(entry.range()).unwrap_or_default());
        table.insert_unique(hash, entry, rehash);
        entry
    }

    /// Distinct values.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The dictionary page, as it is so far.
    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.page.capacity() + self.table.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_index_and_are_new_once_a_page() {
        let mut dictionary = Dictionary::default();
        let mut index = |value: &str, page| dictionary.index(value.as_bytes(), page);
        assert_eq!(index("a", 0), (0, true));
        assert_eq!(index("a", 0), (0, false));
        assert_eq!(index("", 0), (1, true));
        assert_eq!(index("a", 0), (0, false));
        assert_eq!(index("a", 1), (0, true));
        assert_eq!(index("", 1), (1, true));
        assert_eq!(dictionary.count(), 2);
        assert_eq!(dictionary.page(), [1, 0, 0, 0, b'a', 0, 0, 0, 0]);
    }

    #[test]
    fn many_values_are_told_apart() {
        let mut dictionary = Dictionary::default();
        for round in 0..2 {
            for n in 0..50_000u32 {
                assert_eq!(dictionary.index(n.to_string().as_bytes(), round), (n, true));
            }
        }
    }
}
