//! What Firehose really leaves, and where other readers fail: each a named test.

use crate::support::{World, batches, files, gzip, gzip_at};
use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use serde_json::{Value, json};

/// `n` rows, each with its line end.
fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("{{\"n\":{n}}}\n")).collect()
}

/// Whether the rows are `{"n":0}` up to `{"n":count - 1}`, each once.
fn assert_counted(rows: &[Value], count: usize) {
    assert_counted_by(rows, "n", count);
}

fn assert_counted_by(rows: &[Value], name: &str, count: usize) {
    let mut numbers: Vec<u64> = rows.iter().map(|row| row[name].as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count as u64).collect::<Vec<_>>());
}

async fn all_read(object: Vec<u8>, count: usize) {
    let world = World::with(object);
    let (report, rows) = world.rows().await;
    assert!(report.is_complete(), "{report:?}");
    assert_counted(&rows, count);
}

#[tokio::test]
async fn one_member() {
    all_read(gzip(lines(0, 1000)), 1000).await;
}

#[tokio::test]
async fn many_members() {
    let object: Vec<u8> = (0..10).flat_map(|at| gzip(lines(at * 100, at * 100 + 100))).collect();
    let world = World::with(object);
    let (report, rows) = world.rows().await;
    assert_eq!((report.members, report.objects, report.files), (10, 1, 1));
    assert_counted(&rows, 1000);
}

#[tokio::test]
async fn a_member_for_each_row_with_the_line_end_inside() {
    all_read((0..100).flat_map(|n| gzip(format!("{{\"n\":{n}}}\r\n"))).collect(), 100).await;
}

#[tokio::test]
async fn a_newline_between_members() {
    for separator in ["\n", "\r\n"] {
        let member = |at: usize| [gzip(lines(at * 100, at * 100 + 100)), separator.into()].concat();
        all_read((0..10).flat_map(member).collect(), 1000).await;
    }
}

#[tokio::test]
async fn no_newline_anywhere() {
    all_read((0..100).flat_map(|n| gzip(format!("{{\"n\":{n}}}"))).collect(), 100).await;
}

#[tokio::test]
async fn a_newline_between_members_and_none_inside() {
    all_read((0..100).flat_map(|n| [gzip(format!("{{\"n\":{n}}}")), b"\n".into()].concat()).collect(), 100).await;
}

#[tokio::test]
async fn zero_padding() {
    all_read([gzip(lines(0, 1000)), vec![0; 512]].concat(), 1000).await;
}

#[tokio::test]
async fn a_row_that_spans_members() {
    let text = lines(0, 100);
    all_read(text.as_bytes().chunks(7).flat_map(gzip).collect(), 100).await;
}

#[tokio::test]
async fn a_last_row_without_line_end() {
    all_read(gzip(lines(0, 10).trim_end()), 10).await;
}

#[tokio::test]
async fn rows_printed_over_several_lines() {
    let text: String = (0..10).map(|n| format!("{:#}\n", json!({ "n": n }))).collect();
    all_read(gzip(text), 10).await;
}

/// Members of 100 rows; the second one is damaged. Its rows are lost, reported, and nobody else's are.
async fn second_is_lost(damaged: Vec<u8>, reason: &str) {
    let first = gzip(lines(0, 100));
    let world = World::with([&first[..], &damaged, &gzip(lines(100, 200))].concat());
    let (report, rows) = world.rows().await;
    assert_counted(&rows, 200);
    assert_eq!((report.quarantined_members, report.quarantined_objects, report.members), (1, 1, 2));
    let loss = report.losses.first().expect("a loss");
    assert_eq!((loss.offset, loss.bytes), (first.len() as u64, damaged.len() as u64));
    assert!(loss.reason.contains(reason), "{}", loss.reason);
    let quarantine = world.quarantine();
    assert_eq!(quarantine.len(), 1);
    assert_eq!(quarantine[0]["offset"], first.len());
    assert_eq!(quarantine[0]["reason"], loss.reason);
}

#[tokio::test]
async fn a_wrong_crc() {
    let mut member = gzip(lines(900, 1000));
    let at = member.len() - 8;
    member[at] ^= 0xff;
    second_is_lost(member, "CRC-32").await;
}

#[tokio::test]
async fn a_wrong_length() {
    let mut member = gzip(lines(900, 1000));
    let at = member.len() - 1;
    member[at] ^= 0xff;
    second_is_lost(member, "bytes (modulo 2^32)").await;
}

#[tokio::test]
async fn a_flipped_digit_in_a_stored_block() {
    let mut member = gzip_at(0, lines(900, 1000));
    let at = member.windows(3).position(|bytes| bytes == b"950").expect("a number");
    member[at] ^= 1;
    second_is_lost(member, "CRC-32").await;
}

#[tokio::test]
async fn damage_within_the_compressed_data() {
    let mut member = gzip(lines(900, 1000));
    member[12] ^= 0xff;
    second_is_lost(member, "").await;
}

#[tokio::test]
async fn a_cut_last_member() {
    let (first, second) = (gzip(lines(0, 100)), gzip(lines(100, 200)));
    let world = World::with([&first[..], &second[..second.len() - 20]].concat());
    let (report, rows) = world.rows().await;
    // The rows before the cut are kept; the one that it cuts is not, and says so.
    assert!(rows.len() > 150 && rows.len() < 200, "{} rows", rows.len());
    assert_counted(&rows, rows.len());
    assert_eq!((report.quarantined_rows, report.quarantined_members), (1, 1));
    assert_eq!(report.losses[0].bytes, second.len() as u64 - 20);
    assert!(report.losses[0].reason.contains("cut off"), "{}", report.losses[0].reason);
}

#[tokio::test]
async fn a_row_that_goes_on_in_a_damaged_member_is_quarantined() {
    let mut damaged = gzip(":1}\n");
    let at = damaged.len() - 8;
    damaged[at] ^= 1;
    let world = World::with([&gzip("{\"n\":0}\n{\"lost\"")[..], &damaged, &gzip("{\"n\":1}\n")].concat());
    let (report, rows) = world.rows().await;
    assert_counted(&rows, 2);
    assert_eq!((report.quarantined_rows, report.quarantined_members), (1, 1));
    // Neither the row nor the member with the wrong CRC left a column.
    assert_eq!(report.schema.keys().collect::<Vec<_>>(), ["n"]);
    assert_eq!(world.quarantine()[0]["raw"], "{\"lost\"");
}

#[tokio::test]
async fn one_object_that_is_not_gzipped() {
    let world = World::new();
    world.put("2026/11/23/05/a", gzip(lines(0, 1000)));
    world.put("2026/11/23/05/b", lines(1000, 1500));
    let (report, rows) = world.rows().await;
    assert!(report.is_complete());
    assert_counted(&rows, 1500);
}

#[tokio::test]
async fn zstd_arrays_and_rows_without_newlines_are_read_beside_gzip() {
    let world = World::new();
    let row = |n: usize| format!("{{\"n\":{n}}}");
    let rows = |from: usize| (from..from + 100).map(row).collect::<Vec<_>>();
    world.put("2026/11/23/05/a", zstd::encode_all(lines(0, 100).as_bytes(), 3).expect("memory"));
    world.put("2026/11/23/05/b", format!("[{}]\n", rows(100).join(", ")));
    world.put("2026/11/23/05/c", gzip(format!("[\n{}\n]", rows(200).join(",\n"))));
    world.put("2026/11/23/05/d", rows(300).concat());
    world.put("2026/11/23/05/e", [gzip(lines(400, 500)), b"\r\n".into(), rows(500).concat().into_bytes()].concat());
    let (report, found) = world.rows().await;
    assert!(report.is_complete(), "{report:?}");
    assert_counted(&found, 600);
}

/// A member of 3 MB of text, of which a thread may hold 1 MiB, between two small ones.
async fn with_a_large_member(damage: impl Fn(&mut Vec<u8>)) -> (alluvial_compactor::Report, World) {
    let noise =
        |n: usize| format!("{{\"n\":{n},\"late\":{{\"x\":\"{:x}\"}}}}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut large = gzip((100..60_100).map(noise).collect::<String>());
    damage(&mut large);
    let world = World::with([&gzip(lines(0, 100) + "{\"open\"")[..], &large].concat());
    let settings = alluvial_compactor::Settings { memory_bytes: 64 << 20, threads: 16, ..world.settings() };
    (world.try_compact(&settings).await.expect("compacted"), world)
}

#[tokio::test]
async fn a_member_that_is_too_large_to_be_held_counts_once_its_crc_is_right() {
    let (report, _) = with_a_large_member(|_| {}).await;
    assert_eq!((report.rows, report.quarantined_rows, report.members), (60_100, 1, 2));
    assert_eq!(report.schema.keys().collect::<Vec<_>>(), ["late", "n"]);
}

#[tokio::test]
async fn a_member_that_is_too_large_to_be_held_leaves_nothing_if_its_crc_is_wrong() {
    let (report, world) = with_a_large_member(|member| {
        let at = member.len() - 8;
        member[at] ^= 1;
    })
    .await;
    assert_eq!((report.rows, report.quarantined_rows, report.quarantined_members), (100, 1, 1));
    assert_eq!(report.schema.keys().collect::<Vec<_>>(), ["n"]);
    assert_counted(&crate::support::rows(&world.dst()), 100);
    assert_eq!(world.quarantine().len(), 2);
}

#[tokio::test]
async fn a_member_that_is_too_large_to_be_held_keeps_its_rows_before_a_cut() {
    let (report, world) = with_a_large_member(|member| member.truncate(member.len() / 2)).await;
    assert!(report.rows > 20_000 && report.rows < 40_000, "{report:?}");
    assert_eq!((report.quarantined_rows, report.quarantined_members), (2, 1));
    assert_eq!(crate::support::rows(&world.dst()).len() as u64, report.rows);
}

#[tokio::test]
async fn row_groups_that_do_not_fit_in_memory_are_put_aside_on_disk() {
    let world = World::new();
    let mut random = 7u64;
    for object in 0..4 {
        let text: String = (0..150_000)
            .map(|n| {
                let mut next = || {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    format!("{:x}", random ^ (random >> 33))
                };
                let noise = [next(), next(), next(), next(), next(), next()].concat();
                let late = if object == 3 { ",\"late\":1.5" } else { "" };
                format!("{{\"n\":{},\"r\":\"{noise}\"{late}}}\n", object * 150_000 + n)
            })
            .collect();
        world.put(&format!("2026/11/23/05/{object}"), gzip_at(1, text));
    }
    let settings = alluvial_compactor::Settings { memory_bytes: 64 << 20, unit_bytes: 1, ..world.settings() };
    let report = world.try_compact(&settings).await.expect("compacted");
    assert!(report.spilled_bytes > 0, "{report:?}");
    assert_eq!(report.schema["late"], "Float64");
    let rows = crate::support::rows(&world.dst());
    assert_counted(&rows, 600_000);
    assert_eq!(rows.iter().filter(|row| row["late"] == 1.5).count(), 150_000);
}

#[tokio::test]
async fn encodings_are_chosen_by_what_the_values_are_and_pages_are_indexed() {
    use parquet::basic::Encoding;
    let text: String = (0..20_000)
        .map(|n| {
            let noise = f64::from(n) * 0.618_033_988_749_895 % 1.0;
            format!("{{\"id\":{n},\"kind\":{},\"key\":\"order-{n:08}\",\"value\":{noise}}}\n", n % 5)
        })
        .collect();
    let world = World::with(gzip(text));
    world.compact().await;
    let file = std::fs::File::open(files(&world.dst()).remove(0)).expect("a file");
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Required)
        .parse_and_finish(&file)
        .expect("Parquet with page indexes");
    let column = |name: &str| {
        let columns = metadata.row_group(0).columns();
        columns.iter().find(|column| column.column_path().string() == name).expect("a column")
    };
    for (name, encoding) in [
        ("id", Encoding::DELTA_BINARY_PACKED),
        ("key", Encoding::DELTA_BYTE_ARRAY),
        ("kind", Encoding::RLE_DICTIONARY),
        ("value", Encoding::PLAIN),
    ] {
        assert!(column(name).encodings().any(|found| found == encoding), "{name}: {:?}", column(name));
        assert!(column(name).statistics().is_some_and(|statistics| statistics.min_bytes_opt().is_some()), "{name}");
    }
    assert_counted_by(&crate::support::rows(&world.dst()), "id", 20_000);
}

#[tokio::test]
async fn timestamps_are_found_when_asked_for() {
    let world = World::with(gzip("{\"at\":\"2026-11-23T05:00:00.250Z\"}\n{\"at\":\"2026-11-23T05:00:01.000Z\"}\n"));
    let settings = alluvial_compactor::Settings { timestamps: true, ..world.settings() };
    let report = world.try_compact(&settings).await.expect("compacted");
    assert_eq!(report.schema["at"], "Timestamp(µs, \"UTC\")");
    let batch = batches(&world.dst()).remove(0);
    let times = batch.column(0).as_primitive::<arrow_array::types::TimestampMicrosecondType>();
    assert_eq!(times.values(), &[1_795_410_000_250_000, 1_795_410_001_000_000]);
}

#[tokio::test]
async fn an_object_of_another_format_is_named() {
    let world = World::new();
    world.put("a", gzip(lines(0, 10)));
    world.put("b", b"PAR1 and so on");
    world.put("c", b"");
    let (report, rows) = world.rows().await;
    assert_counted(&rows, 10);
    assert!(report.losses[0].reason.contains("Parquet"), "{}", report.losses[0].reason);
}

#[tokio::test]
async fn gzip_within_gzip_says_which_setting_is_wrong() {
    let world = World::with(gzip(gzip(lines(0, 10))));
    let report = world.compact().await;
    assert_eq!((report.rows, report.quarantined_members, report.quarantined_rows), (0, 1, 0));
    assert!(report.losses[0].reason.contains("UNCOMPRESSED"), "{}", report.losses[0].reason);
}

#[tokio::test]
async fn bad_rows_are_kept_beside() {
    let text = "{\"n\":0}\nnot json\n[1,2]\n{\"n\":1,}\n{\"n\":1}\n\"a\"\n{\"x\":\"\\ud83d\"}\n";
    let world = World::with([gzip(text), gzip(b"{\"n\":\xff}\n")].concat());
    let (report, rows) = world.rows().await;
    assert_eq!(rows.len(), 3);
    assert_eq!((report.quarantined_rows, report.replaced_surrogates), (5, 1));
    let quarantine = world.quarantine();
    let raw: Vec<&str> = quarantine.iter().filter_map(|entry| entry["raw"].as_str()).collect();
    assert_eq!(raw, ["not json", "[1,2]", "{\"n\":1,}", "\"a\""]);
    assert_eq!(quarantine[4]["raw_base64"], "eyJuIjr/fQ==");
    assert!(quarantine[1]["reason"].as_str().expect("text").contains("an array"));
}

#[tokio::test]
async fn a_double_that_first_appears_at_row_50000() {
    let mut text: String = (0..50_000).map(|_| "{\"v\":70}\n").collect();
    text.push_str("{\"v\":70.5}\n");
    let world = World::with(gzip(text));
    let (report, _) = world.rows().await;
    assert_eq!(report.schema["v"], "Float64");
    let sum: f64 = batches(&world.dst())
        .iter()
        .flat_map(|batch| batch.column_by_name("v").expect("v").as_primitive::<Float64Type>().values().to_vec())
        .sum();
    assert_eq!(sum, 3_500_070.5);
}

#[tokio::test]
async fn a_field_that_is_only_in_the_last_object() {
    let world = World::new();
    for at in 0..45 {
        world.put(&format!("2026/11/23/05/{at:02}"), gzip("{\"v\":70}\n{\"v\":70}\n"));
    }
    world.put("2026/11/23/06/99", gzip("{\"v\":70.5,\"late\":{\"x\":true}}\n"));
    let (report, rows) = world.rows().await;
    assert_eq!(report.schema["late"], "Struct(\"x\": Boolean)");
    assert_eq!(rows.iter().filter(|row| row["late"]["x"] == true).count(), 1);
    assert_eq!(rows.iter().filter_map(|row| row["v"].as_f64()).sum::<f64>(), 6_370.5);
    // Both partitions have the one schema.
    let schemas: Vec<_> = batches(&world.dst()).iter().map(|batch| batch.schema()).collect();
    assert!(schemas.windows(2).all(|pair| pair[0].fields() == pair[1].fields()));
    assert_eq!(report.partitions, 2);
}

#[tokio::test]
async fn integers_beyond_2_to_the_53() {
    let world = World::with(gzip("{\"n\":9007199254740993,\"m\":9007199254740993}\n{\"n\":-1,\"m\":0.5}\n"));
    let (report, rows) = world.rows().await;
    assert_eq!((report.schema["n"].as_str(), report.schema["m"].as_str()), ("Int64", "Utf8"));
    assert!(rows.contains(&json!({"n": 9_007_199_254_740_993_i64, "m": "9007199254740993"})));
    assert!(rows.contains(&json!({"n": -1, "m": "0.5"})));
}

#[tokio::test]
async fn the_last_bit_of_doubles() {
    let doubles = [0.1, 1.0 / 3.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, -0.0, 2.225_073_858_507_201e-308, 1e23];
    let text: String = doubles.iter().map(|double| format!("{{\"v\":{double:?}}}\n")).collect();
    let world = World::with(gzip(text));
    world.compact().await;
    let found: Vec<u64> = batches(&world.dst())
        .iter()
        .flat_map(|batch| batch.column_by_name("v").expect("v").as_primitive::<Float64Type>().values().to_vec())
        .map(f64::to_bits)
        .collect();
    assert_eq!(found, doubles.map(f64::to_bits));
}

#[tokio::test]
async fn types_that_change() {
    let world = World::with(gzip(
        "{\"v\":1}\n{\"v\":\"x\"}\n{\"v\":{\"a\":[1.50]}}\n{\"v\":null}\n{\"v\":true}\n{\"v\":1e400}\n",
    ));
    let (_, rows) = world.rows().await;
    for value in ["1", "x", "{\"a\":[1.5]}", "true", "1e400"] {
        assert!(rows.contains(&json!({ "v": value })), "{value}");
    }
    assert!(rows.contains(&json!({})));
}

#[tokio::test]
async fn unicode_and_odd_names_survive() {
    let row = json!({
        "": 1, "a.b": 2, "sp ace": 3, "A": 4, "a": 5, "é\u{1F600}": "\u{0}\u{7f}\u{10ffff}é", "\"q\"": "\\",
        "dt": "not the partition", "list.element": [{"": {"": null, "x.y": [[]]}}],
    });
    let world = World::with(gzip(row.to_string()));
    let (report, rows) = world.rows().await;
    let mut expected = row;
    // A field that is only null is a column of nulls, which the reader leaves out.
    expected["list.element"][0][""].as_object_mut().expect("an object").remove("");
    assert_eq!(rows, [expected]);
    assert_eq!(report.schema["dt"], "Utf8");
    let file = files(&world.dst()).remove(0);
    assert!(file.to_string_lossy().contains("/partition_dt=2026-11-23/hour=05/part-00000-"), "{}", file.display());
}

#[tokio::test]
async fn rows_of_300_kilobytes() {
    let row = |n: usize| json!({"n": n, "payload": "é".repeat(150_000), "list": vec![0.1; 1000]}).to_string() + "\n";
    let world = World::with((0..40).map(|n| gzip(row(n))).collect::<Vec<_>>().concat());
    let (report, rows) = world.rows().await;
    assert_counted(&rows, 40);
    assert!(rows.iter().all(|row| row["payload"].as_str().is_some_and(|text| text.chars().count() == 150_000)));
    assert!(report.bytes_json > 40 * 300_000);
}

#[tokio::test]
async fn nesting_of_64_levels_are_columns_and_more_is_text() {
    let nested = |levels: usize| format!("{}1{}\n", "{\"a\":".repeat(levels), "}".repeat(levels));
    let world = World::with(gzip(nested(64)));
    let (report, rows) = world.rows().await;
    assert!(report.is_complete());
    assert_eq!(rows[0].to_string() + "\n", nested(64));
    let world = World::with(gzip(nested(100)));
    let (report, rows) = world.rows().await;
    assert!(report.is_complete());
    assert!(rows[0].to_string().contains(":1}}}"), "the rest is text");
    let world = World::with(gzip(nested(129) + "{\"a\":{}}\n"));
    let (report, rows) = world.rows().await;
    assert_eq!((report.quarantined_rows, rows.len()), (1, 1));
}

#[tokio::test]
async fn more_columns_than_the_limit_overflow() {
    let members: Vec<String> = (0..30).map(|n| format!("\"c{n:02}\":{n}")).collect();
    let world = World::with(gzip(format!("{{{}}}\n", members.join(","))));
    let settings = alluvial_compactor::Settings { max_columns: 10, ..world.settings() };
    let report = world.try_compact(&settings).await.expect("compacted");
    assert_eq!(report.schema.len(), 11);
    let rows = crate::support::rows(&world.dst());
    let rest: Value = serde_json::from_str(rows[0]["_overflow"].as_str().expect("text")).expect("JSON");
    assert_eq!((&rows[0]["c09"], &rest["c10"], &rest["c29"]), (&json!(9), &json!(10), &json!(29)));
}

#[tokio::test]
async fn twelve_thousand_fields_are_10000_columns_and_the_overflow() {
    let members: Vec<String> = (0..12_000).map(|n| format!("\"c{n:05}\":{n}")).collect();
    let world = World::with(gzip(format!("{{{}}}\n{{\"c00000\":1}}\n", members.join(","))));
    let (report, rows) = world.rows().await;
    assert_eq!((report.schema.len(), rows.len()), (10_001, 2));
    let full = rows.iter().find(|row| row["_overflow"].is_string()).expect("a row that overflows");
    assert_eq!((&full["c09999"], full["c10000"].is_null()), (&json!(9999), true));
    assert!(full["_overflow"].as_str().expect("text").ends_with("\"c11999\":11999}"));
}

#[tokio::test]
async fn objects_without_an_hour_go_to_the_default_partition() {
    let world = World::new();
    world.put("x", gzip(lines(0, 10)));
    let (_, rows) = world.rows().await;
    assert_counted(&rows, 10);
    let file = files(&world.dst()).remove(0);
    assert!(file.to_string_lossy().contains("/dt=__HIVE_DEFAULT_PARTITION__/hour=__HIVE_DEFAULT_PARTITION__/"));
}

#[tokio::test]
async fn large_partitions_are_split_into_files() {
    let world = World::new();
    for object in 0..4 {
        let text: String =
            (0..50_000).map(|n| format!("{{\"n\":{},\"v\":{}}}\n", object * 50_000 + n, (n * 7919) % 10_007)).collect();
        world.put(&format!("2026/11/23/05/{object}"), gzip(text));
    }
    let settings = alluvial_compactor::Settings { target_file_bytes: 5_000, ..world.settings() };
    let report = world.try_compact(&settings).await.expect("compacted");
    assert!(report.files > 1, "{report:?}");
    assert_counted(&crate::support::rows(&world.dst()), 200_000);
}

#[tokio::test]
async fn a_bomb_is_quarantined() {
    let world = World::with([gzip(lines(0, 10)), gzip(vec![b' '; 30 << 20])].concat());
    let settings = alluvial_compactor::Settings { max_object_bytes: 1 << 20, ..world.settings() };
    let report = world.try_compact(&settings).await.expect("compacted");
    assert_eq!((report.rows, report.quarantined_members), (10, 1));
}

#[tokio::test]
async fn only_empty_objects_leave_no_file_and_a_success() {
    let world = World::with(b"");
    let (report, rows) = world.rows().await;
    assert!(rows.is_empty() && report.is_complete());
    assert!(world.dst().join("_SUCCESS").exists());
}

#[tokio::test]
async fn rows_without_fields_are_kept() {
    let world = World::with(gzip("{}\n{}\n"));
    let (report, rows) = world.rows().await;
    assert_eq!((report.rows, rows.len()), (2, 2));
}
