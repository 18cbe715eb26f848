//! From a record's JSON to a full gzip member, against the codec alone on the same rows.
//!
//! `iot` are records of about 140 bytes, `sensor-batch` messages of about 900 KB. The limit is the codec: raw deflate at the
//! same level over the finished rows, in one stream, with a reused buffer.

use alluvial_benches::{Contender, Result, compare};
use alluvial_enrich::{PackLimits, Packer, Pushed, Row};
use alluvial_loadgen::{Context, Template};
use bytes::BytesMut;
use flate2::{Compress, Compression, FlushCompress};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const LEVEL: u32 = 2;
const TARGET_BYTES: usize = 1_024_000;

fn records(template: &str, bytes: usize) -> Vec<Vec<u8>> {
    let template = Template::builtin(template).expect("a built-in template");
    let (mut random, mut records, mut total) = (fastrand::Rng::with_seed(1), Vec::new(), 0);
    while total < bytes {
        let mut record = BytesMut::new();
        let number = records.len() as u64;
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_000 + number);
        template.render(&mut Context { random: &mut random, number, now }, &mut record);
        total += record.len();
        records.push(record.to_vec());
    }
    records
}

fn enrich(record: &[u8], line: &mut Vec<u8>, site: &(Arc<str>, Arc<str>)) {
    let mut row = Row::parse(record).expect("templates make objects");
    row.set(&site.0, Arc::clone(&site.1));
    row.render(line);
}

/// Packs every record; returns the bytes of the records.
fn stage(records: &[Vec<u8>], site: &(Arc<str>, Arc<str>)) -> u64 {
    let mut packer = Packer::new(PackLimits { target_bytes: TARGET_BYTES, level: LEVEL }, 0);
    let (mut line, mut packed) = (Vec::new(), 0);
    for record in records {
        line.clear();
        enrich(record, &mut line, site);
        if packer.push(&line) == Pushed::Full {
            packed += packer.close(None).map_or(0, |member| member.bytes.len());
            packer.push(&line);
        }
    }
    packed += packer.close(None).map_or(0, |member| member.bytes.len());
    assert!(packed > 0);
    records.iter().map(|record| record.len() as u64).sum()
}

/// Splices every record and compresses none.
fn splice(records: &[Vec<u8>], site: &(Arc<str>, Arc<str>)) -> u64 {
    let mut line = Vec::new();
    for record in records {
        line.clear();
        enrich(record, &mut line, site);
    }
    records.iter().map(|record| record.len() as u64).sum()
}

/// Compresses the finished rows in one stream; returns the bytes of the records that they came from.
fn codec(rows: &[u8], record_bytes: u64) -> u64 {
    let mut deflate = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(rows.len() / 2 + 1_024);
    let mut rest = rows;
    while !rest.is_empty() {
        let before = deflate.total_in();
        deflate.compress_vec(rest, &mut out, FlushCompress::None).expect("deflate takes any input");
        let taken = usize::try_from(deflate.total_in() - before).expect("a slice's length");
        rest = &rest[taken..];
        out.clear();
    }
    record_bytes
}

fn main() -> Result<()> {
    let site: (Arc<str>, Arc<str>) = ("site".into(), r#"{"country":"NO","plant":7}"#.into());
    for template in ["iot", "sensor-batch"] {
        let records = records(template, 24_000_000);
        let mut rows = Vec::new();
        records.iter().for_each(|record| enrich(record, &mut rows, &site));
        let record_bytes = records.iter().map(|record| record.len() as u64).sum();
        compare(
            "pack",
            template,
            &mut [
                Contender { name: "parse, splice", work: Box::new(|| splice(&records, &site)) },
                Contender { name: "parse, splice, pack", work: Box::new(|| stage(&records, &site)) },
                Contender { name: "codec alone (limit)", work: Box::new(|| codec(&rows, record_bytes)) },
            ],
        )?;
    }
    Ok(())
}
