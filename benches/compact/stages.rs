//! The stages of a reading alone, on one core, beside what they cannot be faster than: MB/s of JSON.

use alluvial_benches::{Contender, Result, Table, speeds};
use alluvial_compactor::Settings;
use alluvial_compactor::stages::{Columns, Stages};
use libdeflater::Decompressor;
use std::fs;
use std::path::Path;

/// JSON bytes that each turn handles, about.
const BYTES: u64 = 96 << 20;

/// What the stages of one set take.
pub(crate) struct Parts {
    pub(crate) table: Table,
    /// CPU seconds that all of them take for a gigabyte of JSON.
    pub(crate) cpu_s_per_gb: f64,
}

/// Measures the stages on the first objects of a data set.
pub(crate) fn measure(set: &str, folder: &Path, rounds: usize) -> Result<Parts> {
    let at = |text: &str| text.parse().map_err(|error| format!("{error}"));
    let stages = Stages::new(&Settings::new(at("/in")?, at("/out")?));
    let mut paths: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    let (mut objects, mut members, mut sizes, mut json_bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for path in paths {
        if json_bytes >= BYTES {
            break;
        }
        let object = fs::read(path)?;
        json_bytes += stages.inflate(&object, |text| members.push(text.to_vec()));
        objects.push(object);
    }
    for object in &objects {
        sizes.push(ends(object)?);
    }
    let mut columns: Vec<Columns> = Vec::new();
    stages.columns(&members, |batch| columns.push(batch))?;
    let largest = columns.iter().map(Columns::bytes).max().unwrap_or(0);
    let largest_member = members.iter().map(Vec::len).max().unwrap_or(0);
    let (mut text, mut copy) = (vec![0; largest_member], vec![0u8; largest]);
    let ones = vec![1u8; largest];
    let mut inflate = Decompressor::new();
    let mut failed = Ok(());
    let mut contenders = [
        Contender {
            name: "inflate and check",
            work: Box::new(|| objects.iter().map(|object| stages.inflate(object, |_| ())).sum()),
        },
        Contender {
            name: "libdeflate, sizes known",
            work: Box::new(|| {
                let each = |(object, ends): (&Vec<u8>, &Vec<usize>)| {
                    let starts = std::iter::once(&0).chain(ends);
                    let length = |(start, end): (&usize, &usize)| {
                        inflate.gzip_decompress(&object[*start..*end], &mut text).unwrap_or(0) as u64
                    };
                    starts.zip(ends).map(length).sum::<u64>()
                };
                objects.iter().zip(&sizes).map(each).sum()
            }),
        },
        Contender {
            name: "parse and build",
            work: Box::new(|| {
                if let Err(error) = stages.columns(&members, |_| ()) {
                    failed = Err(error.to_string());
                }
                json_bytes
            }),
        },
        Contender {
            name: "check UTF-8, find quotes",
            work: Box::new(|| {
                let each = |text: &Vec<u8>| {
                    std::hint::black_box(std::str::from_utf8(text).is_ok());
                    std::hint::black_box(memchr::memchr_iter(b'"', text).count());
                };
                members.iter().for_each(each);
                json_bytes
            }),
        },
        Contender {
            name: "encode",
            work: Box::new(|| {
                std::hint::black_box(stages.encode(&columns).is_ok());
                json_bytes
            }),
        },
        Contender {
            name: "copy the columns",
            work: Box::new(|| {
                for batch in &columns {
                    let bytes = batch.bytes();
                    copy[..bytes].copy_from_slice(&ones[..bytes]);
                    std::hint::black_box(&copy);
                }
                json_bytes
            }),
        },
    ];
    let medians = speeds(rounds.max(3), &mut contenders);
    drop(contenders);
    failed?;
    let title = format!("{set}: stages on one core, MB/s of JSON");
    let mut table = Table::new(title, &["stage", "limit", "ratio"]);
    let mut cpu_s_per_gb = 0.0;
    for (name, pair) in STAGES.into_iter().zip(medians.chunks_exact(2)) {
        table.row(name, [pair[0], pair[1], pair[0] / pair[1]]);
        cpu_s_per_gb += 1000.0 / pair[0];
    }
    Ok(Parts { table, cpu_s_per_gb })
}

const STAGES: [&str; 3] = [
    "inflate and check / libdeflate, sizes known",
    "parse and build / check UTF-8, find quotes",
    "encode / copy the columns",
];

/// Where an object's members end.
fn ends(object: &[u8]) -> Result<Vec<usize>> {
    let magic = object.get(..4).ok_or("not gzip")?;
    let mut inflate = Decompressor::new();
    let (mut start, mut ends, mut out) = (0, Vec::new(), vec![0; 4 << 20]);
    for end in memchr::memmem::find_iter(object, magic).skip(1).chain([object.len()]) {
        if inflate.gzip_decompress(&object[start..end], &mut out).is_ok() {
            ends.push(end);
            start = end;
        }
    }
    Ok(ends)
}
