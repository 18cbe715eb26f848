//! How a plan is cut: into units, each read by one thread.

use crate::plan::Plan;
use std::ops::Range;

/// Objects of a unit, at most.
const UNIT_OBJECTS: usize = 4096;

/// Inputs of one partition that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// Indexes into the plan's inputs.
    pub(super) inputs: Range<usize>,
}

/// Cuts `plan`, by nothing but what it says, into units of at least `unit_bytes`; the last of a partition may have fewer.
pub(super) fn cut(plan: &Plan, unit_bytes: u64) -> Vec<Unit> {
    let mut units = Vec::new();
    let (mut start, mut bytes) = (0, 0u64);
    for (at, input) in plan.inputs.iter().enumerate() {
        let other_partition = plan.inputs.get(start).is_some_and(|first| first.hour != input.hour);
        if at > start && (other_partition || bytes >= unit_bytes || at - start >= UNIT_OBJECTS) {
            units.push(Unit { inputs: start..at });
            (start, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(input.object.bytes);
    }
    if start < plan.inputs.len() {
        units.push(Unit { inputs: start..plan.inputs.len() });
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Object;

    fn plan(objects: &[(&str, u64)]) -> Plan {
        let object = |(uri, bytes): &(&str, u64)| Object {
            name: (*uri).into(),
            uri: (*uri).into(),
            bytes: *bytes,
            etag: None,
            modified: None,
        };
        Plan::new(objects.iter().map(object).collect(), &[]).expect("a plan")
    }

    #[test]
    fn units_are_large_enough_and_of_one_partition() {
        let mib = 1 << 20;
        let plan = plan(&[
            ("x/2026/11/23/05/a", 10 * mib),
            ("x/2026/11/23/05/b", 10 * mib),
            ("x/2026/11/23/05/c", mib),
            ("x/2026/11/23/06/a", 100 * mib),
            ("x/2026/11/23/06/b", mib),
        ]);
        let units: Vec<Range<usize>> = cut(&plan, 16 * mib).into_iter().map(|unit| unit.inputs).collect();
        assert_eq!(units, [0..2, 2..3, 3..4, 4..5]);
    }

    #[test]
    fn a_unit_has_a_bounded_number_of_objects() {
        let names: Vec<String> = (0..UNIT_OBJECTS + 1).map(|n| format!("{n:05}")).collect();
        let objects: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        assert_eq!(cut(&plan(&objects), 1 << 20).len(), 2);
        assert_eq!(cut(&plan(&[]), 1), []);
    }
}
