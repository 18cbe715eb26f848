//! How a plan is cut: into units, each read by one thread.

use crate::plan::{Input, Plan};
use std::ops::Range;

/// Objects of a unit, at most.
const UNIT_OBJECTS: usize = 4096;

/// Inputs of one partition that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Indexes into the plan's inputs.
    pub(super) inputs: Range<usize>,
}

impl Unit {
    pub(crate) fn inputs<'a>(&self, plan: &'a Plan) -> &'a [Input] {
        plan.inputs.get(self.inputs.clone()).unwrap_or_default()
    }

    /// Bytes of its objects.
    pub(crate) fn bytes(&self, plan: &Plan) -> u64 {
        self.inputs(plan).iter().map(|input| input.object.bytes).sum()
    }
}

/// Cuts `plan`, by nothing but what it says, into units of at least its recipe's `unit_bytes`; the last of a partition
/// may have fewer.
pub(crate) fn cut(plan: &Plan) -> Vec<Unit> {
    let unit_bytes = plan.recipe.unit_bytes;
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
    use crate::plan::tests::object;

    fn plan(objects: &[(&str, u64)], unit_bytes: u64) -> Plan {
        let mut plan = crate::plan::tests::plan(1, objects.iter().map(|(uri, bytes)| object(uri, *bytes)).collect());
        plan.recipe.unit_bytes = unit_bytes;
        plan
    }

    #[test]
    fn units_are_large_enough_and_of_one_partition() {
        let mib = 1 << 20;
        let objects = [
            ("x/2026/11/23/05/a", 10 * mib),
            ("x/2026/11/23/05/b", 10 * mib),
            ("x/2026/11/23/05/c", mib),
            ("x/2026/11/23/06/a", 100 * mib),
            ("x/2026/11/23/06/b", mib),
        ];
        let plan = plan(&objects, 16 * mib);
        let units: Vec<Range<usize>> = cut(&plan).into_iter().map(|unit| unit.inputs).collect();
        assert_eq!(units, [0..2, 2..3, 3..4, 4..5]);
    }

    #[test]
    fn a_unit_has_a_bounded_number_of_objects() {
        let names: Vec<String> = (0..UNIT_OBJECTS + 1).map(|n| format!("{n:05}")).collect();
        let objects: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        assert_eq!(cut(&plan(&objects, 1 << 20)).len(), 2);
        assert_eq!(cut(&plan(&[], 1)), []);
    }
}
