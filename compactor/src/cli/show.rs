//! What a run did, or would do, for people.

use alluvial_compactor::{GcReport, Planned, PlannedShare, Preview, Report, ShareReport, VerifyFault, VerifyReport};
use std::fmt::Write as _;

/// The report for people. Writing to a string cannot fail.
pub(crate) fn summary(report: &Report) -> String {
    let mut text = String::new();
    if report.already_done {
        let skipped = report.skipped_objects;
        writeln!(text, "nothing to do: all {skipped} objects of {} were compacted before", report.source).ok();
        return text;
    }
    let Report { objects, members, rows, files, partitions, .. } = report;
    writeln!(text, "compacted {} into {}", report.source, report.destination).ok();
    for plan in &report.resumed {
        writeln!(text, "  resumed      plan {plan}, which an earlier run had left").ok();
    }
    writeln!(text, "  objects      {objects} ({members} gzip members, {})", size(report.bytes_in)).ok();
    writeln!(text, "  rows         {rows} ({} of JSON)", size(report.bytes_json)).ok();
    writeln!(text, "  files        {files} in {partitions} partitions ({})", size(report.bytes_out)).ok();
    writeln!(text, "  columns      {}", report.schema.len()).ok();
    for change in &report.schema_changes {
        writeln!(text, "    {change}").ok();
    }
    if report.spilled_bytes > 0 {
        writeln!(text, "  spilled      {} of row groups to disk", size(report.spilled_bytes)).ok();
    }
    if report.duplicate_rows > 0 {
        writeln!(text, "  duplicates   {} rows that came before, left out", report.duplicate_rows).ok();
    }
    if report.duplicate_members > 0 {
        writeln!(text, "  repeated     {} gzip members whose records others have, left out", report.duplicate_members)
            .ok();
    }
    if report.overlapping_members > 0 {
        let members = report.overlapping_members;
        writeln!(text, "  overlapping  {members} gzip members have some records of others; --dedupe tells rows apart")
            .ok();
    }
    if report.unfit_rows > 0 {
        let rows = report.unfit_rows;
        writeln!(text, "  overflow     {rows} rows with values that the schema has no place for, see _overflow").ok();
    }
    if report.untold_rows > 0 {
        let rows = report.untold_rows;
        writeln!(text, "  default      {rows} rows with a partition value that no folder can show; it is in the files")
            .ok();
    }
    if report.skipped_objects > 0 {
        writeln!(text, "  skipped      {} objects that were compacted before", report.skipped_objects).ok();
    }
    if report.hidden_objects > 0 {
        writeln!(text, "  hidden       {} objects whose names begin with _ or .", report.hidden_objects).ok();
    }
    if report.replaced_surrogates > 0 {
        writeln!(text, "  replaced     {} half surrogate pairs, by U+FFFD", report.replaced_surrogates).ok();
    }
    if let Some(file) = &report.quarantine {
        let (rows, ranges) = (report.quarantined_rows, report.quarantined_members);
        writeln!(text, "  QUARANTINED  {rows} rows and {ranges} damaged ranges, see {}/{file}", report.destination)
            .ok();
    }
    for loss in report.losses.iter().take(10) {
        writeln!(text, "    {} at byte {} ({} bytes): {}", loss.object, loss.offset, loss.bytes, loss.reason).ok();
    }
    for warning in &report.warnings {
        writeln!(text, "  note         {warning}").ok();
    }
    let memory = report.peak_memory_bytes.map(|bytes| format!(", {} of memory at most", size(bytes)));
    writeln!(text, "  took         {:.1} s{}", report.seconds, memory.unwrap_or_default()).ok();
    text
}

/// What a share did, for people.
pub(crate) fn share(report: &ShareReport) -> String {
    let ShareReport { shard, objects, rows, .. } = report;
    let Some(plan) = report.plan else { return "nothing to do: there is no plan, or it is done\n".to_owned() };
    if report.already_done {
        return format!("share {shard} of plan {plan} was done before\n");
    }
    let memory = report.peak_memory_bytes.map(|bytes| format!(", {} of memory at most", size(bytes)));
    format!(
        "share {shard} of plan {plan}: {objects} objects ({}), {rows} rows in {:.1} s{}\n",
        size(report.bytes_in),
        report.seconds,
        memory.unwrap_or_default()
    )
}

/// A plan, for people.
pub(crate) fn plan_made(plan: &Planned) -> String {
    let mut text = String::new();
    let Some(at) = &plan.plan else {
        writeln!(text, "nothing to do: plans have taken all {} objects of {}", plan.skipped_objects, plan.source).ok();
        return text;
    };
    writeln!(text, "{} {at}", if plan.resumed { "left by an earlier run:" } else { "planned" }).ok();
    writeln!(text, "  objects      {} ({})", plan.objects, size(plan.bytes_in)).ok();
    for PlannedShare { shard, objects, bytes } in &plan.shares {
        writeln!(text, "  share {shard:<6} {objects} objects ({})", size(*bytes)).ok();
    }
    writeln!(text, "next: compact run --plan {at} --shard 0/{}, and every other share", plan.shares.len()).ok();
    writeln!(text, "then: compact commit {at}").ok();
    text
}

/// What a reading of the table again has found, for people.
pub(crate) fn verified(report: &VerifyReport) -> String {
    let mut text = String::new();
    let VerifyReport { destination, plans, files, rows, bytes, .. } = report;
    let sound = if report.is_sound() { "is what its manifests say" } else { "IS NOT WHAT ITS MANIFESTS SAY" };
    writeln!(text, "{destination} {sound}").ok();
    writeln!(text, "  read         {files} files of {plans} plans, {rows} rows ({})", size(*bytes)).ok();
    if report.inputs + report.removed_inputs > 0 {
        let (inputs, removed) = (report.inputs, report.removed_inputs);
        writeln!(text, "  inputs       {inputs} objects read again, {removed} no longer there").ok();
    }
    if report.unfinished_plans > 0 {
        writeln!(text, "  unfinished   {} plans, which compact run finishes", report.unfinished_plans).ok();
    }
    for orphan in report.orphans.iter().take(10) {
        writeln!(text, "  ORPHAN       {orphan}; compact gc removes it").ok();
    }
    for VerifyFault { object, fault } in report.faults.iter().take(50) {
        writeln!(text, "  FAULT        {object} {fault}").ok();
    }
    writeln!(text, "  took         {:.1} s", report.seconds).ok();
    text
}

/// What was removed, for people.
pub(crate) fn removed(report: &GcReport) -> String {
    let mut text = String::new();
    let done = if report.dry_run { "would remove from" } else { "removed from" };
    writeln!(text, "{done} {}", report.destination).ok();
    writeln!(
        text,
        "  orphans      {} ({}), {} too young",
        report.orphans,
        size(report.orphan_bytes),
        report.young_orphans
    )
    .ok();
    for name in report.orphan_names.iter().take(10) {
        writeln!(text, "    {name}").ok();
    }
    if report.uploads > 0 {
        writeln!(text, "  uploads      {} that were never completed", report.uploads).ok();
    }
    writeln!(
        text,
        "  inputs       {} ({}), {} too young",
        report.inputs,
        size(report.input_bytes),
        report.young_inputs
    )
    .ok();
    if report.changed_inputs > 0 {
        writeln!(text, "  KEPT         {} objects that are no longer what was compacted", report.changed_inputs).ok();
    }
    text
}

/// What a run would do, for people.
pub(crate) fn planned(preview: &Preview) -> String {
    let mut text = String::new();
    writeln!(text, "would compact {} into {}", preview.source, preview.destination).ok();
    writeln!(text, "  objects      {} ({})", preview.objects, size(preview.bytes_in)).ok();
    let by = if preview.partition_by.is_empty() { "nothing".to_owned() } else { preview.partition_by.join(", ") };
    match preview.partitions {
        Some(partitions) => writeln!(text, "  partitions   {partitions} by {by}").ok(),
        None => writeln!(text, "  partitions   by {by}, which the rows decide").ok(),
    };
    writeln!(text, "  files        about {} or fewer", preview.files_about).ok();
    writeln!(text, "  with         {} threads, about {}", preview.threads, size(preview.memory_bytes)).ok();
    if preview.unfinished_plans > 0 {
        writeln!(text, "  resumed      {} plans that earlier runs have left, first", preview.unfinished_plans).ok();
    }
    if preview.skipped_objects > 0 {
        writeln!(text, "  skipped      {} objects that were compacted before", preview.skipped_objects).ok();
    }
    if preview.hidden_objects > 0 {
        writeln!(text, "  hidden       {} objects whose names begin with _ or .", preview.hidden_objects).ok();
    }
    text
}

pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(265_836_802), "265.8 MB");
    }
}
