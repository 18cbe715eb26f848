//! Files whose rows are sorted, from row groups that are not.
//!
//! Rows are brought to the file's columns first, as it is their values by which they are sorted. What fits in memory is
//! sorted at once; of more, sorted runs are put aside, and merged.

use super::Fragment;
use super::encoding::choose;
use super::file::{BATCH_ROWS, FilePlan, rows_of, stopped};
use super::keys::{Keys, leaf, sortable};
use super::{options, plan_metadata, properties};
use crate::columns::{Schema, conform};
use crate::error::Error;
use crate::manifest::OutputFile;
use crate::outlet::{OutFile, Outlet};
use crate::recipe::Recipe;
use crate::sort_by::SortBy;
use crate::spool::{BlobReader, Spool};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Rows of a run that are decoded at once: every run has so many in memory.
const MERGED_ROWS: usize = 1024;

/// What the columns that rows are sorted by are called in the files' metadata; none, where no column is there.
pub(crate) fn sort_columns(recipe: &Recipe, schema: &Schema) -> Vec<SortBy> {
    sortable(&recipe.sort, &schema.to_arrow())
}

/// Writes one file, with its rows in the order of `by`.
///
/// # Errors
/// The outlet's.
pub(super) fn write_sorted(
    plan: &FilePlan,
    schema: &Schema,
    recipe: &Recipe,
    plan_id: &str,
    spool: &Spool,
    outlet: &Outlet,
    by: &[SortBy],
) -> Result<OutputFile, Error> {
    let mut output = Output {
        arrow: schema.to_arrow(),
        recipe,
        plan_id,
        by,
        file: Some(outlet.create(plan.path.clone())),
        writer: None,
    };
    let mut runs: Vec<Run> = Vec::new();
    let mut pending: Vec<RecordBatch> = Vec::new();
    let mut bytes = 0;
    for fragment in plan.fragments() {
        for batch in rows_of(fragment, spool)? {
            let batch = conform(&fragment.table, &batch?, schema)?;
            bytes += batch.get_array_memory_size();
            pending.push(batch);
            if bytes >= recipe.sort_bytes {
                runs.push(Run::put(sort(&pending, &output.arrow, by)?, spool)?);
                pending.clear();
                bytes = 0;
            }
        }
    }
    let last = sort(&pending, &output.arrow, by)?;
    drop(pending);
    if runs.is_empty() {
        last.for_each_batch(|batch| output.write(&batch))?;
    } else {
        runs.push(Run::put(last, spool)?);
        merge(runs, by, &mut output)?;
    }
    let rows = plan.fragments().iter().map(Fragment::rows_kept).sum();
    output.close(rows)
}

/// Rows and their order.
struct Sorted {
    rows: RecordBatch,
    order: Vec<u32>,
}

fn sort(batches: &[RecordBatch], arrow: &SchemaRef, by: &[SortBy]) -> Result<Sorted, Error> {
    let rows = arrow_select::concat::concat_batches(arrow, batches)?;
    let order = Keys::new(&rows, by).order();
    Ok(Sorted { rows, order })
}

impl Sorted {
    fn for_each_batch(&self, mut take: impl FnMut(RecordBatch) -> Result<(), Error>) -> Result<(), Error> {
        for rows in self.order.chunks(BATCH_ROWS) {
            let rows = UInt32Array::from(rows.to_vec());
            take(arrow_select::take::take_record_batch(&self.rows, &rows)?)?;
        }
        Ok(())
    }
}

/// Sorted rows that were put aside.
struct Run {
    batches: ParquetRecordBatchReader,
    batch: RecordBatch,
    keys: Keys,
    row: usize,
}

impl Run {
    fn put(sorted: Sorted, spool: &Spool) -> Result<Self, Error> {
        let fast = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
        let schema = sorted.rows.schema();
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options(fast))?;
        sorted.for_each_batch(|batch| Ok(writer.write(&batch)?))?;
        let blob = spool.put(writer.into_inner()?)?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(BlobReader::new(spool.clone(), blob))?;
        let batches = builder.with_batch_size(MERGED_ROWS).build()?;
        Ok(Self { batches, batch: RecordBatch::new_empty(schema), keys: Keys::default(), row: 0 })
    }

    /// The next batch, if there is one.
    fn load(&mut self, by: &[SortBy]) -> Result<bool, Error> {
        // What Parquet reads back is the same but for the metadata of its schema.
        let Some(batch) = self.batches.next() else { return Ok(false) };
        self.batch = RecordBatch::try_new(self.batch.schema(), batch?.columns().to_vec())?;
        self.keys = Keys::new(&self.batch, by);
        self.row = 0;
        Ok(true)
    }
}

/// Merges runs; of equal rows, those of the earlier run come first.
fn merge(mut runs: Vec<Run>, by: &[SortBy], output: &mut Output<'_>) -> Result<(), Error> {
    let mut next: BinaryHeap<Reverse<(Vec<u8>, usize)>> = BinaryHeap::new();
    for (at, run) in runs.iter_mut().enumerate() {
        if run.load(by)? {
            next.push(Reverse((run.keys.get(0).to_vec(), at)));
        }
    }
    let mut picked: Vec<(usize, usize)> = Vec::with_capacity(BATCH_ROWS);
    while let Some(Reverse((mut key, at))) = next.pop() {
        picked.push((at, runs[at].row));
        runs[at].row += 1;
        let is_read = runs[at].row >= runs[at].batch.num_rows();
        if is_read || picked.len() >= BATCH_ROWS {
            let batches: Vec<&RecordBatch> = runs.iter().map(|run| &run.batch).collect();
            output.write(&arrow_select::interleave::interleave_record_batch(&batches, &picked)?)?;
            picked.clear();
        }
        if !is_read || runs[at].load(by)? {
            key.clear();
            key.extend_from_slice(runs[at].keys.get(runs[at].row));
            next.push(Reverse((key, at)));
        }
    }
    Ok(())
}

/// The file.
struct Output<'a> {
    arrow: SchemaRef,
    recipe: &'a Recipe,
    plan_id: &'a str,
    by: &'a [SortBy],
    file: Option<OutFile>,
    /// Once the first rows are known, by which encodings are chosen.
    writer: Option<ArrowWriter<OutFile>>,
}

impl Output<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin(batch)?,
        };
        writer.write(batch).map_err(stopped)?;
        let full = writer.in_progress_size() >= self.recipe.group_bytes
            || writer.in_progress_rows() >= self.recipe.row_group_rows;
        if full {
            writer.flush().map_err(stopped)?;
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn begin(&mut self, first: &RecordBatch) -> Result<ArrowWriter<OutFile>, Error> {
        let columns = self.by.iter().filter_map(|by| {
            let column_idx = i32::try_from(leaf(by, &self.arrow)?).ok()?;
            Some(SortingColumn { column_idx, descending: by.descending, nulls_first: false })
        });
        let properties = properties(&self.arrow, self.recipe, choose(first, self.recipe.byte_stream_split))?
            .set_key_value_metadata(Some(plan_metadata(self.plan_id)))
            .set_sorting_columns(Some(columns.collect()))
            .build();
        let file = self.file.take().ok_or(Error::Stopped)?;
        Ok(ArrowWriter::try_new_with_options(file, self.arrow.clone(), options(properties))?)
    }

    fn close(mut self, rows: u64) -> Result<OutputFile, Error> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin(&RecordBatch::new_empty(self.arrow.clone()))?,
        };
        writer.into_inner().map_err(stopped)?.close(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    #[tokio::test]
    async fn runs_are_merged_in_order_and_equals_keep_theirs() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |text: &str| text.parse().expect("a location");
        let dst = at(&folder.path().to_string_lossy());
        let recipe = Recipe::of(&crate::Settings::new(at("/raw"), dst.clone()));
        let spool = Spool::new(std::env::temp_dir(), 1 << 10);
        let by: Vec<SortBy> = vec!["k".parse().expect("a field")];
        let batch = |run: i64| {
            let keys = (0..5000).map(move |n| (n * 7919 + run) % 1000);
            let numbers = (0..5000).map(move |n| run * 5000 + n);
            let columns = [
                ("k", Arc::new(keys.collect::<Int64Array>()) as ArrayRef),
                ("n", Arc::new(numbers.collect::<Int64Array>())),
            ];
            RecordBatch::try_from_iter(columns).expect("a batch")
        };
        let arrow = batch(0).schema();
        let (outlet, commands) = crate::outlet::channel();
        let store = crate::store::Store::open(&dst, None).expect("a store");
        let write = move || {
            let runs = (0..5).map(|run| {
                let sorted = sort(&[batch(run)], &batch(run).schema(), &by).expect("sorted");
                Run::put(sorted, &spool).expect("a run")
            });
            let runs = runs.collect();
            let file = Some(outlet.create("f".to_owned()));
            let mut output = Output { arrow, recipe: &recipe, plan_id: "p", by: &by, file, writer: None };
            merge(runs, &by, &mut output).expect("merged");
            output.close(25_000).expect("closed");
        };
        let writer = tokio::task::spawn_blocking(write);
        let (staged, result) = crate::outlet::stage_all(&store, commands).await;
        result.expect("staged");
        writer.await.expect("no panic");
        store.publish(&staged[0]).await.expect("published");
        let file = std::fs::File::open(folder.path().join("f")).expect("a file");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        let sorting = builder.metadata().row_group(0).sorting_columns().expect("sorted").clone();
        assert_eq!((sorting.len(), sorting[0].column_idx, sorting[0].descending), (1, 0, false));
        let mut rows: Vec<(i64, i64)> = Vec::new();
        for batch in builder.build().expect("Parquet") {
            let batch = batch.expect("a batch");
            let column = |at: usize| batch.column(at).as_primitive::<Int64Type>().values().to_vec();
            rows.extend(column(0).into_iter().zip(column(1)));
        }
        assert_eq!(rows.len(), 25_000);
        assert!(rows.is_sorted(), "by key, and equals in the order they came in");
    }
}
