//! Which objects are compacted together, under which name, and how.
//!
//! A plan is written once and never changed. Its number is its name, so that of several compactors one makes it; which
//! objects are taken is the union of all plans, so that none is taken twice.

use crate::error::Error;
use crate::ledger::Ledger;
use crate::manifest;
use crate::members::Covered;
use crate::partition::Hour;
use crate::recipe::Recipe;
use crate::store::{Object, Store};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The folder of plans and intents.
pub(crate) const FOLDER: &str = "_plans";

/// The version of a plan's file. What it says decides every byte of the output, so that a program which would make
/// other bytes of it must have another version.
const FORMAT: u32 = 3;

/// The first version: those up to the present one have the same fields, and make other bytes of them.
const FIRST_FORMAT: u32 = 1;

/// Objects that are compacted together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// From 1, without gaps.
    pub(crate) number: u64,
    /// 32 hexadecimal digits, a function of the number and the inputs: names, sizes and ETags.
    pub(crate) id: String,
    /// Where the inputs lie.
    pub(crate) source: String,
    pub(crate) recipe: Recipe,
    /// By partition, then by name.
    pub(crate) inputs: Vec<Input>,
    /// What labelled members of earlier plans cover, where repeated ones are left out.
    pub(crate) covered: Covered,
}

/// An object, and where its rows go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    pub(crate) object: Object,
    pub(crate) hour: Hour,
}

/// An object that a plan has taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub(crate) plan: &'a str,
    pub(crate) object: &'a str,
    pub(crate) bytes: u64,
    pub(crate) etag: Option<&'a str>,
}

/// A plan as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct PlanFile {
    format: u32,
    number: u64,
    plan: String,
    source: String,
    recipe: Recipe,
    inputs: Vec<InputFile>,
    #[serde(default, skip_serializing_if = "Covered::is_empty")]
    covered: Covered,
}

#[derive(Debug, Serialize, Deserialize)]
struct InputFile {
    object: String,
    bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// Of a file: nanoseconds since 1970 when it was written last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_ns: Option<u64>,
}

/// Divides `objects` into those that no plan has taken, and the number of the others.
///
/// # Errors
/// [`Error::Overwritten`] where an object that was taken has another size or ETag now.
pub(crate) fn untaken<'a>(
    objects: Vec<Object>,
    taken: impl Iterator<Item = Taken<'a>>,
) -> Result<(Vec<Object>, u64), Error> {
    let taken: HashMap<&str, Taken<'_>> = taken.map(|taken| (taken.object, taken)).collect();
    let mut free = Vec::new();
    let mut skipped = 0;
    for object in objects {
        match taken.get(object.uri.as_str()) {
            None => free.push(object),
            Some(by) if by.bytes == object.bytes && same_etag(by.etag, object.etag.as_deref()) => skipped += 1,
            Some(by) => return Err(Error::Overwritten { object: object.uri, plan: by.plan.to_owned() }),
        }
    }
    Ok((free, skipped))
}

impl Plan {
    /// A plan for `objects`.
    pub(crate) fn new(number: u64, source: String, recipe: Recipe, objects: Vec<Object>) -> Self {
        let mut inputs: Vec<Input> =
            objects.into_iter().map(|object| Input { hour: Hour::of_key(&object.uri), object }).collect();
        inputs.sort_by(|a, b| (a.hour, &a.object.uri).cmp(&(b.hour, &b.object.uri)));
        Self { number, id: identify(number, &inputs), source, recipe, inputs, covered: Covered::default() }
    }

    /// Leaves out, if the recipe says so, the members that the plans of `ledger` have, as far as they are done.
    pub(crate) fn after(mut self, ledger: &Ledger) -> Self {
        if self.recipe.dedupe_members {
            self.covered = ledger.covered();
        }
        self
    }

    /// The name of the plan of this number, below the destination.
    pub(crate) fn name(number: u64) -> String {
        format!("{FOLDER}/{number:08}.json")
    }

    /// The number of the plan of this name.
    pub(crate) fn number_of(name: &str) -> Option<u64> {
        let digits = name.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?;
        digits.parse().ok().filter(|number| Self::name(*number) == name)
    }

    /// What the names of the plan's files carry: half of the digits of its name.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..16).unwrap_or(&self.id)
    }

    /// Bytes of all inputs.
    pub(crate) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.object.bytes).sum()
    }

    /// What the plan takes.
    pub(crate) fn taken(&self) -> impl Iterator<Item = Taken<'_>> {
        self.inputs.iter().map(|Input { object, .. }| Taken {
            plan: &self.id,
            object: &object.uri,
            bytes: object.bytes,
            etag: object.etag.as_deref(),
        })
    }

    /// As it is written: the same plan is the same text.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let input = |Input { object, .. }: &Input| InputFile {
            object: object.uri.clone(),
            bytes: object.bytes,
            etag: object.etag.clone(),
            // An ETag says all that a time would.
            modified_ns: object.modified.filter(|_| object.etag.is_none()).and_then(nanoseconds),
        };
        manifest::pretty(&PlanFile {
            format: FORMAT,
            number: self.number,
            plan: self.id.clone(),
            source: self.source.clone(),
            recipe: self.recipe.clone(),
            inputs: self.inputs.iter().map(input).collect(),
            covered: self.covered.clone(),
        })
    }

    /// Reads a plan that is to be carried out. `path` is what an error calls it.
    ///
    /// # Errors
    /// [`Error::Manifest`] where it is no plan, or says something else than its name; [`Error::Usage`] where another
    /// version of this program wrote it.
    pub(crate) fn from_json(text: &[u8], path: &str) -> Result<Self, Error> {
        Self::read(text, path, FORMAT..=FORMAT)
    }

    /// As [`Plan::from_json`], of a plan that is done: earlier versions' say the same of their inputs.
    pub(crate) fn from_json_when_done(text: &[u8], path: &str) -> Result<Self, Error> {
        Self::read(text, path, FIRST_FORMAT..=FORMAT)
    }

    fn read(text: &[u8], path: &str, formats: RangeInclusive<u32>) -> Result<Self, Error> {
        let broken = |source| Error::Manifest { path: path.to_owned(), source };
        let file: PlanFile = serde_json::from_slice(text).map_err(broken)?;
        if !formats.contains(&file.format) {
            return Err(Error::Usage(format!(
                "{path} is a plan of format {}, this program reads {FORMAT}: finish it with the version that made it",
                file.format
            )));
        }
        let objects = file.inputs.into_iter().map(|input| Object {
            name: input.object.clone(),
            uri: input.object,
            bytes: input.bytes,
            etag: input.etag,
            modified: input.modified_ns.map(|ns| UNIX_EPOCH + Duration::from_nanos(ns)),
        });
        let mut plan = Self::new(file.number, file.source, file.recipe, objects.collect());
        plan.covered = file.covered;
        if plan.id != file.plan {
            return Err(broken(serde::de::Error::custom(format!("its inputs are not those of plan {}", file.plan))));
        }
        Ok(plan)
    }

    /// Names the inputs as `source` does, where they lie.
    pub(crate) fn found_in(mut self, source: &Store) -> Self {
        for input in &mut self.inputs {
            input.object.name = source.name_of(&input.object.uri);
        }
        self
    }
}

fn nanoseconds(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// An ETag that one of the listings did not give decides nothing.
pub(crate) fn same_etag(a: Option<&str>, b: Option<&str>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// A digest of the inputs. It only has to tell plans apart, not to withstand forgery.
fn identify(number: u64, inputs: &[Input]) -> String {
    let mut sorted: Vec<&Object> = inputs.iter().map(|input| &input.object).collect();
    sorted.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
    let mut digest = Md5::new();
    digest.update(format!("{number}\n"));
    for object in sorted {
        let etag = object.etag.as_deref().unwrap_or_default();
        digest.update(format!("{}\0{}\0{etag}\n", object.uri, object.bytes));
    }
    digest.finalize().iter().fold(String::new(), |mut id, byte| {
        // Writing to a string cannot fail.
        write!(id, "{byte:02x}").ok();
        id
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Settings;

    pub(crate) fn object(uri: &str, bytes: u64) -> Object {
        Object { name: uri.to_owned(), uri: uri.to_owned(), bytes, etag: None, modified: None }
    }

    pub(crate) fn plan(number: u64, objects: Vec<Object>) -> Plan {
        let at = |text: &str| text.parse().expect("a location");
        Plan::new(number, "/raw".to_owned(), Recipe::of(&Settings::new(at("/raw"), at("/parquet"))), objects)
    }

    #[test]
    fn the_name_is_a_function_of_the_number_and_the_set_of_inputs() {
        let one = plan(1, vec![object("a", 1), object("b", 2)]).id;
        assert_eq!(one.len(), 32);
        assert_eq!(one, plan(1, vec![object("b", 2), object("a", 1)]).id);
        assert_ne!(one, plan(2, vec![object("a", 1), object("b", 2)]).id);
        assert_ne!(one, plan(1, vec![object("a", 1), object("b", 3)]).id);
        assert_ne!(one, plan(1, vec![object("a", 1)]).id);
    }

    #[test]
    fn inputs_are_sorted_by_partition_and_name() {
        let names = ["x/2026/11/23/06/a", "x/2026/11/23/05/b", "x/2026/11/23/05/a", "none"];
        let plan = plan(1, names.iter().map(|name| object(name, 1)).collect());
        let sorted: Vec<&str> = plan.inputs.iter().map(|input| input.object.uri.as_str()).collect();
        assert_eq!(sorted, ["none", "x/2026/11/23/05/a", "x/2026/11/23/05/b", "x/2026/11/23/06/a"]);
    }

    #[test]
    fn what_was_taken_is_skipped_and_what_was_overwritten_is_refused() {
        let taken = |etag| Taken { plan: "p", object: "a", bytes: 1, etag };
        let (free, skipped) =
            untaken(vec![object("a", 1), object("b", 2)], [taken(Some("t"))].into_iter()).expect("divided");
        assert_eq!((free, skipped), (vec![object("b", 2)], 1));
        let error = untaken(vec![object("a", 5)], [taken(None)].into_iter()).expect_err("refused");
        assert!(matches!(error, Error::Overwritten { .. }));
        let changed = Object { etag: Some("u".to_owned()), ..object("a", 1) };
        assert!(untaken(vec![changed], [taken(Some("t"))].into_iter()).is_err());
    }

    #[test]
    fn a_plan_reads_back_and_one_that_was_changed_does_not() {
        let modified = Some(UNIX_EPOCH + Duration::from_nanos(1_764_000_000_123_456_789));
        let s3 = Object { etag: Some("\"e\"".to_owned()), ..object("s3://b/2026/11/23/05/x", 3) };
        let plan = plan(7, vec![Object { modified, ..object("/raw/a", 1) }, s3]);
        let text = plan.to_json().expect("JSON");
        assert_eq!(Plan::from_json(&text, "p").expect("a plan"), plan);
        let text = String::from_utf8(text).expect("UTF-8");
        let changed = text.replace("/raw/a", "/raw/b");
        assert!(matches!(Plan::from_json(changed.as_bytes(), "p"), Err(Error::Manifest { .. })));
        let of_format = |format| text.replace("\"format\": 3", &format!("\"format\": {format}"));
        for (format, done) in [(1, true), (2, true), (9, false)] {
            let other = of_format(format);
            assert!(matches!(Plan::from_json(other.as_bytes(), "p"), Err(Error::Usage(_))));
            assert_eq!(Plan::from_json_when_done(other.as_bytes(), "p").is_ok(), done);
        }
    }

    #[test]
    fn names_and_numbers_of_plans_are_told() {
        assert_eq!(Plan::number_of(&Plan::name(12)), Some(12));
        assert_eq!(Plan::number_of(&Plan::name(123_456_789)), Some(123_456_789));
        for other in ["_plans/12.json", "_plans/00000012.intent", "x/00000012.json", "_plans/+0000012.json"] {
            assert_eq!(Plan::number_of(other), None, "{other}");
        }
    }
}
