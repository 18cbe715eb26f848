//! What helps readers to skip: order, bloom filters, statistics, page indexes, row groups, and the size of files.

use crate::support::{World, files, gzip, rows_of_file};
use alluvial_compactor::Settings;
use parquet::basic::Encoding;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use serde_json::{Value, json};
use std::path::Path;

/// Rows in no order, in objects that are read apart.
fn world(objects: usize, rows: usize) -> World {
    let world = World::new();
    for object in 0..objects {
        let text: String = (0..rows)
            .map(|n| {
                let key = (n * 7919 + object * 31) % 1000;
                let name = if n % 10 == 0 { Value::Null } else { json!(format!("n{:03}", key % 97)) };
                json!({"key": key, "name": name, "n": object * rows + n, "x": 20.0 + key as f64 * 1e-4 + n as f64 * 1e-6})
                    .to_string()
                    + "\n"
            })
            .collect();
        world.put(&format!("2026/11/23/05/{object}"), gzip(text));
    }
    world
}

fn metadata(file: &Path) -> ParquetMetaData {
    let file = std::fs::File::open(file).expect("a file");
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.parse_and_finish(&file).expect("Parquet with page indexes")
}

#[tokio::test]
async fn rows_are_sorted_over_all_row_groups_of_a_file() {
    let world = world(6, 5000);
    let sort = vec!["name:desc".parse().expect("an order"), "key".parse().expect("an order")];
    // Little memory, so that runs are put aside and merged.
    let settings =
        Settings { sort, unit_bytes: 1, memory_bytes: 64 << 20, row_group_rows: 4000, threads: 8, ..world.settings() };
    let report = world.try_compact(&settings).await.expect("compacted");
    assert_eq!((report.rows, report.files), (30_000, 1));
    let file = files(&world.dst()).remove(0);
    let rows = rows_of_file(&file);
    let keys: Vec<(bool, std::cmp::Reverse<String>, i64)> = rows
        .iter()
        .map(|row| {
            let name = row["name"].as_str();
            (name.is_none(), std::cmp::Reverse(name.unwrap_or("").to_owned()), row["key"].as_i64().expect("a number"))
        })
        .collect();
    assert!(keys.is_sorted(), "nulls last, the largest name first");
    let mut numbers: Vec<i64> = rows.iter().filter_map(|row| row["n"].as_i64()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..30_000), "every row once");
    let metadata = metadata(&file);
    assert!(metadata.num_row_groups() > 1);
    let sorting = metadata.row_group(0).sorting_columns().expect("said in the file");
    // Columns are sorted by name: key, n, name, x.
    assert_eq!(sorting.iter().map(|by| (by.column_idx, by.descending)).collect::<Vec<_>>(), [(2, true), (0, false)]);
}

#[tokio::test]
async fn a_column_that_widens_is_sorted_by_what_it_becomes() {
    let world = World::new();
    world.put("2026/11/23/05/a", gzip("{\"k\":9}\n{\"k\":10}\n"));
    world.put("2026/11/23/05/b", gzip("{\"k\":\"1\"}\n{\"k\":\"x\"}\n"));
    let sort = vec!["k".parse().expect("an order"), "missing".parse().expect("an order")];
    let settings = Settings { sort, unit_bytes: 1, ..world.settings() };
    world.try_compact(&settings).await.expect("compacted");
    let rows = rows_of_file(&files(&world.dst()).remove(0));
    assert_eq!(rows, [json!({"k": "1"}), json!({"k": "10"}), json!({"k": "9"}), json!({"k": "x"})]);
}

#[tokio::test]
async fn bloom_filters_know_what_is_not_there() {
    use parquet::file::properties::ReaderProperties;
    use parquet::file::reader::FileReader as _;
    use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
    for sort in [vec![], vec!["key".parse().expect("an order")]] {
        let world = world(3, 3000);
        let bloom = vec!["key".parse().expect("a field"), "name".parse().expect("a field")];
        let settings = Settings { bloom, sort, unit_bytes: 1, ..world.settings() };
        world.try_compact(&settings).await.expect("compacted");
        let file = std::fs::File::open(files(&world.dst()).remove(0)).expect("a file");
        let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
        let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
        let reader = SerializedFileReader::new_with_options(file, options).expect("Parquet");
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).expect("a row group");
            let filter = group.get_column_bloom_filter(0).expect("a bloom filter of key");
            let there = (0..1000i64).filter(|key| filter.check(key)).count();
            let absent = (1000..11_000i64).filter(|key| filter.check(key)).count();
            assert!(there == 1000 && absent < 300, "{there} of 1000 there, {absent} of 10000 taken for there");
            let names = group.get_column_bloom_filter(2).expect("a bloom filter of name");
            assert!(names.check(&"n001") && !names.check(&"nobody"));
            assert!(group.get_column_bloom_filter(1).is_none() && group.get_column_bloom_filter(3).is_none());
        }
    }
}

#[tokio::test]
async fn bytes_of_doubles_are_split_only_when_asked_for() {
    for (split, encoding) in [(false, Encoding::PLAIN), (true, Encoding::BYTE_STREAM_SPLIT)] {
        let world = world(1, 5000);
        let settings = Settings { byte_stream_split: split, ..world.settings() };
        world.try_compact(&settings).await.expect("compacted");
        let file = files(&world.dst()).remove(0);
        let metadata = metadata(&file);
        assert!(metadata.row_group(0).column(3).encodings().any(|found| found == encoding), "{split}");
        let exact = |row: &Value| {
            let (key, n) = (row["key"].as_f64().expect("a number"), row["n"].as_f64().expect("a number"));
            row["x"].as_f64().map(f64::to_bits) == Some((20.0 + key * 1e-4 + n * 1e-6).to_bits())
        };
        assert!(rows_of_file(&file).iter().all(exact));
    }
}

#[tokio::test]
async fn every_column_of_every_row_group_has_statistics_and_page_indexes() {
    let world = world(4, 5000);
    let settings = Settings { unit_bytes: 1, ..world.settings() };
    world.try_compact(&settings).await.expect("compacted");
    for file in files(&world.dst()) {
        let metadata = metadata(&file);
        let index = metadata.page_index().expect("page indexes");
        for group in 0..metadata.num_row_groups() {
            for column in 0..4 {
                let statistics = metadata.row_group(group).column(column).statistics().expect("statistics");
                assert!(statistics.min_bytes_opt().is_some() && statistics.null_count_opt().is_some());
                assert!(index.column_index(group, column).is_some() && index.offset_index(group, column).is_some());
            }
        }
    }
}
