//! Which rows are of which labelled member, while they are read.

use crate::members::{MemberRows, SeenMember, add_rows};
use alluvial_record::MemberLabel;

/// The labelled members of a unit, and the rows since the last batch.
pub(super) struct Members {
    wanted: bool,
    all: Vec<SeenMember>,
    current: Option<u32>,
    rows: Vec<MemberRows>,
}

impl Members {
    /// Does nothing unless it is `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, all: Vec::new(), current: None, rows: Vec::new() }
    }

    /// A member begins, whose header has this extra field; none, where it begins within a row.
    pub(super) fn begin(&mut self, extra: Option<&[u8]>) {
        self.current = None;
        let label = extra.filter(|extra| self.wanted && !extra.is_empty()).and_then(MemberLabel::from_extra);
        if let Some(label) = label {
            self.current = u32::try_from(self.all.len()).ok();
            self.all.push(SeenMember { label, whole: false });
        }
    }

    /// The member has ended well; `alone`, where no row of it goes on in the next.
    pub(super) fn end(&mut self, alone: bool) {
        if let Some(member) = self.current.take().and_then(|at| self.all.get_mut(at as usize)) {
            member.whole = alone;
        }
    }

    /// A row was appended to the batch.
    #[inline]
    pub(super) fn add_row(&mut self) {
        if self.wanted {
            add_rows(&mut self.rows, MemberRows { member: self.current, rows: 1 });
        }
    }

    /// The rows of the batch.
    pub(super) fn take_rows(&mut self) -> Vec<MemberRows> {
        std::mem::take(&mut self.rows)
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Forgets all but the first `count` members, and the rows of the batch.
    pub(super) fn go_back(&mut self, count: usize) {
        self.all.truncate(count);
        self.current = None;
        self.rows.clear();
    }

    pub(super) fn all(&mut self) -> Vec<SeenMember> {
        std::mem::take(&mut self.all)
    }
}
