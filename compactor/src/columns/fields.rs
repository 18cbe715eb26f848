//! The fields of a struct, or of the rows themselves, while they are being filled.

use super::column::Column;
use super::cursor::{Cursor, Stop};
use super::node::{Node, Rules, check_depth};
use super::schema::field;
use crate::json::unescape;
use arrow_array::ArrayRef;
use arrow_schema::ArrowError;
use std::collections::HashMap;

/// The fields of the objects at one place.
#[derive(Debug, Default)]
pub(super) struct Fields {
    fields: Vec<Field>,
    index: HashMap<Box<str>, usize>,
    /// Where the last object's members went: most objects have the order of the one before.
    order: Vec<usize>,
    /// The indexes by name.
    sorted: Vec<usize>,
}

#[derive(Debug)]
struct Field {
    name: Box<str>,
    /// The key and its colon, as they stood where the field was first seen.
    literal: Box<[u8]>,
    node: Node,
}

/// Where a member goes.
pub(super) enum Found {
    Field(usize),
    /// It has no column, and must not get one: its name is in the rules' scratch.
    Left,
}

impl Fields {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Appends the object at the cursor as number `at`.
    pub(super) fn append(
        &mut self,
        cursor: &mut Cursor<'_>,
        rules: &mut Rules,
        at: usize,
        nesting: usize,
    ) -> Result<(), Stop> {
        check_depth(rules, nesting)?;
        cursor.at += 1;
        cursor.blank();
        if cursor.peek()? == b'}' {
            cursor.at += 1;
            return Ok(());
        }
        let mut position = 0;
        loop {
            let Found::Field(index) = self.key(cursor, rules, &mut position, |_| true)? else {
                return Err(Stop::Crowded);
            };
            let node = &mut self.fields[index].node;
            if !node.append_usual(cursor, at) {
                node.append(cursor, rules, at, nesting + 1)?;
            }
            cursor.blank();
            match cursor.next()? {
                b',' => cursor.blank(),
                b'}' => return Ok(()),
                _ => return Err(Stop::Slow),
            }
        }
    }

    /// Appends the value at the cursor to a field.
    #[inline]
    pub(super) fn append_to(
        &mut self,
        index: usize,
        cursor: &mut Cursor<'_>,
        rules: &mut Rules,
        at: usize,
    ) -> Result<(), Stop> {
        let node = &mut self.fields[index].node;
        if node.append_usual(cursor, at) { Ok(()) } else { node.append(cursor, rules, at, 1) }
    }

    /// Steps over a key and its colon. `may_add` says whether a name may become a field.
    #[inline(always)]
    pub(super) fn key(
        &mut self,
        cursor: &mut Cursor<'_>,
        rules: &mut Rules,
        position: &mut usize,
        may_add: impl Fn(&str) -> bool,
    ) -> Result<Found, Stop> {
        // As in the last object, or with one field left out.
        for skipped in 0..2 {
            let Some(&index) = self.order.get(*position + skipped) else { break };
            if cursor.take(&self.fields[index].literal) {
                cursor.blank();
                *position += skipped + 1;
                return Ok(Found::Field(index));
            }
        }
        self.find(cursor, rules, position, may_add)
    }

    #[inline(never)]
    fn find(
        &mut self,
        cursor: &mut Cursor<'_>,
        rules: &mut Rules,
        position: &mut usize,
        may_add: impl Fn(&str) -> bool,
    ) -> Result<Found, Stop> {
        let (range, escaped) = cursor.string()?;
        let source = cursor.slice(range)?;
        rules.scratch.clear();
        if escaped {
            rules.replaced += unescape(source, &mut rules.scratch);
        } else {
            rules.scratch.push_str(source);
        }
        cursor.blank();
        if cursor.next()? != b':' {
            return Err(Stop::Slow);
        }
        cursor.blank();
        let name = rules.scratch.as_str();
        let index = match self.index.get(name) {
            Some(&index) => index,
            None if !may_add(name) => return Ok(Found::Left),
            None => self.add(source, escaped, rules)?,
        };
        if self.order.get(*position) != Some(&index) {
            self.order.truncate(*position);
            self.order.push(index);
        }
        *position += 1;
        Ok(Found::Field(index))
    }

    /// Adds the field whose name is in the rules' scratch.
    #[cold]
    fn add(&mut self, source: &str, escaped: bool, rules: &mut Rules) -> Result<usize, Stop> {
        if !rules.may_change {
            return Err(Stop::Slow);
        }
        rules.places_left = rules.places_left.checked_sub(1).ok_or(Stop::Fields)?;
        let name: Box<str> = rules.scratch.as_str().into();
        let index = self.fields.len();
        // A key with half a surrogate pair must be counted each time, so what has escapes is always looked up: no text
        // holds this byte.
        let literal = if escaped { vec![0xff] } else { format!("\"{source}\":").into_bytes() };
        self.fields.push(Field { name: name.clone(), literal: literal.into(), node: Node::new() });
        let place = self.sorted.partition_point(|other| *self.fields[*other].name < *name);
        self.sorted.insert(place, index);
        self.index.insert(name, index);
        Ok(index)
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.fields.iter_mut().for_each(|field| field.node.truncate(len));
    }

    /// The names and columns, by name.
    pub(super) fn columns(&self) -> Vec<(Box<str>, Column)> {
        let fields = self.sorted.iter().map(|index| &self.fields[*index]);
        fields.map(|field| (field.name.clone(), field.node.column())).collect()
    }

    /// Whether there is nothing to store.
    pub(super) fn is_hollow(&self) -> bool {
        self.fields.iter().all(|field| field.node.is_null())
    }

    /// The first `len` values of every field that is stored, by name.
    pub(super) fn finish(&mut self, len: usize) -> Result<(arrow_schema::Fields, Vec<ArrayRef>), ArrowError> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for index in &self.sorted {
            let Field { name, node, .. } = &mut self.fields[*index];
            if !node.is_null() {
                fields.push(field(name, &node.column()));
                columns.push(node.finish(len)?);
            }
        }
        Ok((fields.into(), columns))
    }

    /// Keeps the first `count` fields by name; there must be no values.
    pub(super) fn keep_first(&mut self, count: usize) {
        let kept: std::collections::HashSet<usize> = self.sorted.iter().take(count).copied().collect();
        let mut at = 0;
        self.fields.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
        self.order.clear();
        self.index = self.fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at)).collect();
        self.sorted = (0..self.fields.len()).collect();
        self.sorted.sort_unstable_by(|a, b| self.fields[*a].name.cmp(&self.fields[*b].name));
    }

    /// Drops a field, if there is one of this name; there must be no values.
    pub(super) fn drop_name(&mut self, name: &str) {
        if let Some(at) = self.sorted.iter().position(|index| *self.fields[*index].name == *name) {
            let index = self.sorted.remove(at);
            self.sorted.push(index);
            self.keep_first(self.fields.len() - 1);
        }
    }
}
