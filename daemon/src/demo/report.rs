//! The demo's result: for people, for scripts, and as `report.json`.

use super::Compacted;
use super::verify::Verdict;
use crate::console::{Console, grouped, megabytes};
use alluvial_enrich::{Latency, Ledger};
use alluvial_runtime::exit::{Exit, Failure};
use serde::Serialize;
use std::path::Path;

/// The result. The names of the fields are a contract.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Records that Kinesis accepted.
    records_in: u64,
    delivered: u64,
    filtered: u64,
    dead_lettered: u64,
    /// Lines of the input that are no Kinesis records: too large, or without a key.
    rejected: u64,
    /// Records that loadgen gave up.
    lost: u64,
    /// Rows in Parquet.
    rows: u64,
    missing: u64,
    duplicated: u64,
    /// Rows of records that nobody put.
    unknown: u64,
    order_violations: u64,
    /// Rows of raw objects whose order was looked at.
    order_checked: u64,
    firehose_records: u64,
    firehose_bytes: u64,
    /// What Firehose bills: each record rounded up to 5 KB.
    firehose_billed_bytes: u64,
    /// What it would bill for one uncompressed record per row.
    billed_bytes_unpacked: u64,
    row_bytes: u64,
    raw_objects: u64,
    parquet_files: u64,
    /// From the arrival in Kinesis to the acceptance by Firehose.
    latency_ms: Latency,
    seconds: f64,
}

impl Report {
    pub(super) fn new(
        loaded: &alluvial_loadgen::Report,
        ledger: &Ledger,
        compacted: Compacted,
        verdict: &Verdict,
    ) -> Self {
        let total = ledger.total();
        Self {
            records_in: loaded.accepted,
            delivered: total.delivered,
            filtered: total.filtered,
            dead_lettered: total.dead_lettered,
            rejected: loaded.rejected,
            lost: loaded.lost,
            rows: verdict.rows,
            missing: verdict.missing,
            duplicated: verdict.duplicated,
            unknown: verdict.unknown,
            order_violations: verdict.order_violations,
            order_checked: verdict.order_checked,
            firehose_records: ledger.sink_records(),
            firehose_bytes: ledger.sink_bytes(),
            firehose_billed_bytes: ledger.billed_bytes(),
            billed_bytes_unpacked: ledger.billed_bytes_unpacked(),
            row_bytes: ledger.row_bytes(),
            raw_objects: compacted.objects,
            parquet_files: compacted.files,
            latency_ms: ledger.latency(),
            seconds: 0.0,
        }
    }

    /// The same, with the time that all of it took.
    pub(super) fn took(self, time: std::time::Duration) -> Self {
        Self { seconds: time.as_secs_f64(), ..self }
    }

    /// True when every record is accounted for once.
    fn conserved(&self) -> bool {
        self.records_in == self.delivered + self.filtered + self.dead_lettered
            && self.rows == self.delivered
            // The demo's settings have no filter.
            && self.filtered == 0
            && self.order_checked == self.rows
            && (self.missing, self.duplicated, self.unknown, self.order_violations) == (0, 0, 0, 0)
    }

    /// Done only when nothing is missing, duplicated, refused or out of order.
    pub(super) fn exit(&self) -> Exit {
        let whole = self.conserved() && (self.dead_lettered, self.rejected, self.lost) == (0, 0, 0);
        if whole { Exit::Done } else { Exit::Partial }
    }

    pub(super) fn to_json(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::internal(format!("report as JSON: {error}")))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = format!("{}\n", self.to_json()?);
        std::fs::write(path, text)
            .map_err(|error| Failure::internal(format!("cannot write {}: {error}", path.display())))
    }

    /// The last lines of the demo.
    pub(super) fn tell(&self, console: Console, dir: &Path) {
        let records = self.firehose_records.max(1);
        console.done(
            "firehose",
            &format!(
                "{} records of {} rows each; billed {} instead of {} for a record per row",
                grouped(self.firehose_records),
                grouped(self.delivered / records),
                megabytes(self.firehose_billed_bytes),
                megabytes(self.billed_bytes_unpacked),
            ),
        );
        console.done(
            "latency",
            &format!(
                "put to sink: p50 {} ms · p99 {} ms · max {} ms (rows wait up to 1 s to be packed)",
                grouped(self.latency_ms.p50),
                grouped(self.latency_ms.p99),
                grouped(self.latency_ms.max),
            ),
        );
        self.tell_verdict(console, dir);
        let parquet = dir.join("parquet");
        console.line(&format!("\n  Data    {}", dir.display()));
        console.line(&format!("  Query   duckdb -c \"select count(*) from '{}/**/*.parquet'\"", parquet.display()));
        console.line(&format!("  Took    {:.1} s", self.seconds));
    }

    /// The ledger, what the check found, and what was refused.
    fn tell_verdict(&self, console: Console, dir: &Path) {
        let ledger = format!(
            "in {} = delivered {} + filtered {} + dead-lettered {}",
            grouped(self.records_in),
            grouped(self.delivered),
            grouped(self.filtered),
            grouped(self.dead_lettered),
        );
        let checked = format!(
            "{} rows in Parquet: {} missing, {} duplicated, {}",
            grouped(self.rows),
            grouped(self.missing),
            grouped(self.duplicated),
            match self.order_violations {
                0 => "order per partition key kept".to_owned(),
                violations => format!("{} out of order", grouped(violations)),
            },
        );
        if self.conserved() {
            console.done("ledger", &ledger);
            console.done("check", &checked);
        } else {
            console.failed("ledger", &ledger);
            console.failed("check", &format!("{checked}, {} unknown", grouped(self.unknown)));
        }
        if self.dead_lettered + self.rejected + self.lost > 0 {
            console.failed(
                "refused",
                &format!(
                    "{} dead-lettered (with reasons in {}), {} rejected and {} lost by loadgen",
                    grouped(self.dead_lettered),
                    dir.join("dead-letters").display(),
                    grouped(self.rejected),
                    grouped(self.lost),
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let verdict = Verdict { rows: 10, ..Verdict::default() };
        Report {
            records_in: 10,
            delivered: 10,
            filtered: 0,
            dead_lettered: 0,
            rejected: 0,
            lost: 0,
            rows: verdict.rows,
            missing: 0,
            duplicated: 0,
            unknown: 0,
            order_violations: 0,
            order_checked: 10,
            firehose_records: 1,
            firehose_bytes: 1,
            firehose_billed_bytes: 5_120,
            billed_bytes_unpacked: 40_960,
            row_bytes: 8,
            raw_objects: 1,
            parquet_files: 1,
            latency_ms: Latency::default(),
            seconds: 0.0,
        }
    }

    #[test]
    fn only_a_whole_run_exits_with_zero() {
        assert_eq!(report().exit(), Exit::Done);
        for broken in [
            Report { missing: 1, ..report() },
            Report { filtered: 1, records_in: 11, ..report() },
            Report { order_checked: 0, ..report() },
            Report { duplicated: 1, ..report() },
            Report { unknown: 1, ..report() },
            Report { order_violations: 1, ..report() },
            Report { rows: 7, ..report() },
            Report { records_in: 11, ..report() },
            Report { dead_lettered: 1, records_in: 11, ..report() },
            Report { rejected: 1, ..report() },
        ] {
            assert_eq!(broken.exit(), Exit::Partial, "{broken:?}");
        }
    }

    #[test]
    fn the_json_has_the_promised_keys() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
        for key in [
            "records_in",
            "delivered",
            "filtered",
            "dead_lettered",
            "rows",
            "missing",
            "duplicated",
            "order_violations",
            "firehose_records",
            "firehose_billed_bytes",
            "billed_bytes_unpacked",
            "raw_objects",
            "parquet_files",
            "seconds",
        ] {
            assert!(json[key].is_number(), "{key}");
        }
        assert!(["p50", "p99", "max"].iter().all(|key| json["latency_ms"][key].is_number()));
    }
}
