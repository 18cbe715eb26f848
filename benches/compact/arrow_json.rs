//! What is quickly put together of good libraries: `bench_arrow_json SRC DST THREADS`.
//!
//! libdeflate for each gzip member, arrow-json with the schema of the first record, and the parquet crate's writer; one
//! worker and one file for each thread. It knows nothing of damage, of rows that span members or of a schema that
//! changes: it says how much of the speed is there for the taking.

use alluvial_benches::Result;
use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema_from_iterator;
use arrow_schema::{Schema, SchemaRef};
use libdeflater::Decompressor;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// JSON bytes of a batch, and encoded bytes of a row group, as `compact` has them.
const BATCH_BYTES: usize = 1 << 20;
const ROW_GROUP_BYTES: usize = 64 << 20;

fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [src, dst, threads] = given.as_slice() else { return Err("usage: bench_arrow_json SRC DST THREADS".into()) };
    let mut objects: Vec<PathBuf> = fs::read_dir(src)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    objects.sort();
    fs::create_dir_all(dst)?;
    let schema = schema(objects.first().ok_or("no objects")?)?;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = |number: usize| work(&objects, &next, &schema, &Path::new(dst).join(format!("{number}.parquet")));
        let workers: Vec<_> = (0..threads.parse()?).map(|number| scope.spawn(move || work(number))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked")?)
    })
}

fn work(objects: &[PathBuf], next: &AtomicUsize, schema: &SchemaRef, file: &Path) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(file)?, Arc::clone(schema), Some(properties))?;
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(1 << 16).build_decoder()?;
    let mut bytes = 0;
    while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
        members(&fs::read(object)?, |text| {
            let taken = decoder.decode(text)?;
            bytes += taken;
            if bytes >= BATCH_BYTES || taken < text.len() {
                bytes = 0;
                decoder.flush()?.map(|batch| writer.write(&batch)).transpose()?;
            }
            if taken < text.len() && decoder.decode(&text[taken..])? < text.len() - taken {
                return Err("a member has more rows than a batch".into());
            }
            Ok(())
        })?;
    }
    decoder.flush()?.map(|batch| writer.write(&batch)).transpose()?;
    writer.close()?;
    Ok(())
}

/// The schema of an object's first record.
fn schema(object: &Path) -> Result<SchemaRef> {
    let mut schema = None;
    members(&fs::read(object)?, |text| {
        if schema.is_none() {
            let mut values = serde_json::Deserializer::from_slice(text).into_iter::<serde_json::Value>();
            schema = Some(infer_json_schema_from_iterator(values.next().transpose()?.into_iter().map(Ok))?);
        }
        Ok(())
    })?;
    Ok(Arc::new(schema.unwrap_or_else(Schema::empty)))
}

/// Inflates members, each of which ends where a header like the first one's begins.
fn members(object: &[u8], mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let magic = object.get(..4).ok_or("not gzip")?;
    let mut inflate = Decompressor::new();
    let (mut start, mut out) = (0, vec![0; 4 << 20]);
    for end in memchr::memmem::find_iter(object, magic).skip(1).chain([object.len()]) {
        // What looks like a header may be data: then the member goes on.
        if let Ok(length) = inflate.gzip_decompress(&object[start..end], &mut out) {
            each(&out[..length])?;
            start = end;
        }
    }
    if start == object.len() { Ok(()) } else { Err("a damaged member".into()) }
}
