//! Which objects a run compacts, under which name.

use crate::error::Error;
use crate::manifest::Manifest;
use crate::partition::Hour;
use crate::store::Object;
use md5::{Digest as _, Md5};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Objects that are compacted together.
#[derive(Debug)]
pub(crate) struct Plan {
    /// 32 hexadecimal digits, a function of the inputs: names, sizes and ETags.
    pub(crate) id: String,
    /// By partition, then by name.
    pub(crate) inputs: Vec<Input>,
    /// Objects that earlier plans have consumed.
    pub(crate) skipped: u64,
}

/// An object, and where its rows go.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) object: Object,
    pub(crate) hour: Hour,
}

impl Plan {
    /// All of `objects` that no manifest lists.
    ///
    /// # Errors
    /// [`Error::Overwritten`] where an object that was consumed has another size or ETag now.
    pub(crate) fn new(objects: Vec<Object>, done: &[Manifest]) -> Result<Self, Error> {
        let consumed: HashMap<&str, _> = done
            .iter()
            .flat_map(|manifest| manifest.inputs.iter().map(move |input| (input.object.as_str(), (manifest, input))))
            .collect();
        let mut inputs = Vec::new();
        let mut skipped = 0;
        for object in objects {
            match consumed.get(object.uri.as_str()) {
                None => inputs.push(Input { hour: Hour::of_key(&object.uri), object }),
                Some((_, input)) if input.bytes == object.bytes && same_etag(&input.etag, &object.etag) => skipped += 1,
                Some((manifest, _)) => {
                    return Err(Error::Overwritten { object: object.uri, plan: manifest.plan.clone() });
                }
            }
        }
        inputs.sort_by(|a, b| (a.hour, &a.object.uri).cmp(&(b.hour, &b.object.uri)));
        Ok(Self { id: identify(&inputs), inputs, skipped })
    }

    /// What the names of the plan's files carry: half of the digits of its name.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..16).unwrap_or(&self.id)
    }

    /// Bytes of all inputs.
    pub(crate) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.object.bytes).sum()
    }
}

/// An ETag that one of the listings did not give decides nothing.
fn same_etag(a: &Option<String>, b: &Option<String>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// A digest of the inputs. It only has to tell plans apart, not to withstand forgery.
fn identify(inputs: &[Input]) -> String {
    let mut sorted: Vec<&Object> = inputs.iter().map(|input| &input.object).collect();
    sorted.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
    let mut digest = Md5::new();
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
mod tests {
    use super::*;
    use crate::manifest::ConsumedInput;

    fn object(uri: &str, bytes: u64) -> Object {
        Object { name: uri.to_owned(), uri: uri.to_owned(), bytes, etag: None, modified: None }
    }

    fn done(uri: &str, bytes: u64, etag: Option<&str>) -> Manifest {
        let input = ConsumedInput { object: uri.to_owned(), bytes, etag: etag.map(str::to_owned), rows: 0, members: 0 };
        Manifest { plan: "p".to_owned(), inputs: vec![input], ..Manifest::default() }
    }

    #[test]
    fn the_name_is_a_function_of_the_set_of_inputs() {
        let id = |objects| Plan::new(objects, &[]).expect("a plan").id;
        let one = id(vec![object("a", 1), object("b", 2)]);
        assert_eq!(one.len(), 32);
        assert_eq!(one, id(vec![object("b", 2), object("a", 1)]));
        assert_ne!(one, id(vec![object("a", 1), object("b", 3)]));
        assert_ne!(one, id(vec![object("a", 1)]));
    }

    #[test]
    fn inputs_are_sorted_by_partition_and_name() {
        let names = ["x/2026/11/23/06/a", "x/2026/11/23/05/b", "x/2026/11/23/05/a", "none"];
        let plan = Plan::new(names.iter().map(|name| object(name, 1)).collect(), &[]).expect("a plan");
        let sorted: Vec<&str> = plan.inputs.iter().map(|input| input.object.uri.as_str()).collect();
        assert_eq!(sorted, ["none", "x/2026/11/23/05/a", "x/2026/11/23/05/b", "x/2026/11/23/06/a"]);
    }

    #[test]
    fn what_was_consumed_is_skipped_and_what_was_overwritten_is_refused() {
        let plan = Plan::new(vec![object("a", 1), object("b", 2)], &[done("a", 1, Some("t"))]).expect("a plan");
        assert_eq!((plan.inputs.len(), plan.skipped), (1, 1));
        let error = Plan::new(vec![object("a", 5)], &[done("a", 1, None)]).expect_err("refused");
        assert!(matches!(error, Error::Overwritten { .. }));
        let changed = Object { etag: Some("u".to_owned()), ..object("a", 1) };
        assert!(Plan::new(vec![changed], &[done("a", 1, Some("t"))]).is_err());
    }
}
