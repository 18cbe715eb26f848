//! Processes that die at any of their I/Os, alone and beside others.
//!
//! After whatever happened, one run that is left alone ends with each input row once; and at no moment does the table's
//! summary name a file that is not there, or half a plan.

use super::*;
use crate::Location;
use crate::manifest;
use crate::store::faults::{Fault, Faults};
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// Two partitions, a row that is none, and two members.
const OBJECTS: [(&str, &[&str]); 3] = [
    ("2026/11/23/05/a", &["{\"n\":1}\n{\"n\":2}\n"]),
    ("2026/11/23/06/b", &["{\"n\":3}\n", "no row\n"]),
    ("2026/11/23/06/c", &["{\"n\":4,\"late\":1.5}\n"]),
];

fn gzip(members: &[&str]) -> Vec<u8> {
    members.iter().fold(Vec::new(), |object, member| {
        let mut encoder = GzEncoder::new(object, Compression::fast());
        encoder.write_all(member.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    })
}

impl World {
    pub(crate) fn new() -> Self {
        // In memory, where there is such a folder: thousands of runs wait for their files to be safe.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let world = Self { folder };
        for (key, members) in OBJECTS {
            world.put(key, members);
        }
        world
    }

    fn put(&self, key: &str, members: &[&str]) {
        let path = self.src().join(key);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        // In one step, as S3 does: it may be listed meanwhile.
        let written = self.folder.path().join("object");
        fs::write(&written, gzip(members)).expect("an object");
        fs::rename(written, path).expect("an object");
    }

    pub(crate) fn src(&self) -> PathBuf {
        self.folder.path().join("raw")
    }

    pub(crate) fn dst(&self) -> PathBuf {
        self.folder.path().join("parquet")
    }

    /// Runs as a process of its own.
    async fn run(&self, fault: Fault) -> (Result<Report, Error>, usize) {
        let faults = Faults::new(fault);
        (self.run_with(&faults).await, faults.begun())
    }

    async fn run_with(&self, faults: &Faults) -> Result<Report, Error> {
        let settings =
            Settings { threads: 1, ..Settings::new(Location::Local(self.src()), Location::Local(self.dst())) };
        let open = |at| Store::open(at, None).expect("a store").with_faults(faults.clone());
        let (source, destination) = (open(&settings.src), open(&settings.dst));
        let run = Run { settings: &settings, source, destination, progress: &|_| {} };
        run.run().await
    }

    /// What the summary says must be there and whole.
    pub(crate) fn check_snapshot(&self) -> u64 {
        let Ok(summary) = fs::read(self.dst().join(manifest::TABLE)) else { return 0 };
        let summary: serde_json::Value = serde_json::from_slice(&summary).expect("JSON");
        let files = summary["files"].as_array().expect("files");
        for file in files {
            let path = file["path"].as_str().expect("a path");
            let content = fs::read(self.dst().join(path)).expect("a file that the summary names");
            assert_eq!(file["crc32"], format!("{:08x}", crc32fast::hash(&content)), "{path}");
        }
        summary["rows"].as_u64().expect("rows")
    }

    /// All rows that a reader sees who lists folders, sorted.
    fn rows(&self) -> Vec<i64> {
        let mut rows: Vec<i64> = parquet_files(&self.dst()).iter().flat_map(|file| numbers(file)).collect();
        rows.sort_unstable();
        rows
    }

    /// One run without faults must leave this.
    pub(crate) async fn check_final(&self, expected: &[i64], after: &str) {
        let (report, _) = self.run(Fault::None).await;
        report.unwrap_or_else(|error| panic!("{after}: {error}"));
        self.check_rows(expected, after);
        let (again, _) = self.run(Fault::None).await;
        assert!(again.expect("nothing to do").already_done, "{after}");
    }

    pub(crate) fn check_rows(&self, expected: &[i64], after: &str) {
        assert_eq!(self.rows(), expected, "{after}");
        assert_eq!(self.check_snapshot(), expected.len() as u64, "{after}");
        let names = |folder: &str| fs::read_dir(self.dst().join(folder)).map(|entries| entries.count()).unwrap_or(0);
        assert_eq!(names("_tmp"), 0, "{after}");
        let plans = fs::read_dir(self.dst().join("_plans")).expect("a folder");
        let names: Vec<String> =
            plans.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        assert!(names.iter().all(|name| name.ends_with(".json")), "{after}: {names:?}");
    }

    /// What a process leaves that is killed, and that these, which end by themselves, do not.
    pub(crate) fn leave_staging(&self) {
        let dead = self.dst().join("_tmp/run-dead");
        fs::create_dir_all(&dead).expect("a folder");
        fs::write(dead.join("0"), "half a file").expect("written");
    }

    pub(crate) fn saved(&self) -> PathBuf {
        self.folder.path().join("saved")
    }

    /// Whether anything is there that shares have left.
    pub(crate) fn has_work(&self) -> bool {
        let Ok(plans) = fs::read_dir(self.dst().join("_work")) else { return false };
        plans
            .map(|plan| plan.expect("an entry").path())
            .any(|plan| fs::read_dir(plan).is_ok_and(|mut left| left.next().is_some()))
    }

    pub(crate) fn save(&self) {
        copy(&self.dst(), &self.saved());
    }

    pub(crate) fn restore(&self) {
        copy(&self.saved(), &self.dst());
    }
}

/// In place of what is there.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir_all(to).expect("a folder");
    for entry in entries {
        let path = entry.expect("an entry").path();
        let copied = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).expect("copied");
        }
    }
}

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let shown = paths.filter(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('_')));
    shown.flat_map(|path| if path.is_dir() { parquet_files(&path) } else { vec![path] }).collect()
}

fn numbers(file: &Path) -> Vec<i64> {
    let file = fs::File::open(file).expect("a file");
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("Parquet");
    let batches = batches.map(|batch| batch.expect("a batch"));
    let column = |batch: arrow_array::RecordBatch| {
        batch.column_by_name("n").expect("n").as_primitive::<Int64Type>().values().to_vec()
    };
    batches.flat_map(column).collect()
}

pub(crate) const ALL: [i64; 4] = [1, 2, 3, 4];

#[tokio::test]
async fn a_death_at_any_io_or_any_two_leaves_each_row_once() {
    let world = World::new();
    let mut runs = 0;
    for first in 0.. {
        copy(Path::new("none"), &world.dst());
        let alive = world.run(Fault::Death(first)).await.0.is_ok();
        world.check_snapshot();
        world.save();
        world.leave_staging();
        world.check_final(&ALL, &format!("dead after {first}")).await;
        if alive {
            assert!(first > 30, "only {first} I/Os in a run");
            break;
        }
        for second in 0.. {
            world.restore();
            let alive = world.run(Fault::Death(second)).await.0.is_ok();
            runs += 1;
            let seen = world.check_snapshot();
            assert!([0, 4].contains(&seen), "{seen} rows of a plan of 4");
            if alive {
                break;
            }
            let (last, _) = world.run(Fault::None).await;
            last.expect("compacted");
            world.check_rows(&ALL, &format!("dead after {first}, and after {second}"));
        }
    }
    assert!(runs > 500, "{runs} pairs");
}

#[tokio::test]
async fn a_refusal_or_a_lost_answer_at_any_io_leaves_each_row_once() {
    for fault in [Fault::Refusal, Fault::LostAnswer] {
        for at in 1.. {
            let world = World::new();
            let (result, begun) = world.run(fault(at)).await;
            if begun < at {
                break;
            }
            world.check_snapshot();
            // Whether a run knows that it was done is its own affair; the next one knows.
            drop(result);
            world.check_final(&ALL, &format!("{:?}", fault(at))).await;
        }
    }
}

/// The object's next content: another row, and one that stays.
const CHANGED: &[&str] = &["{\"n\":1}\n{\"n\":50}\n{\"n\":51}\n"];

#[tokio::test]
async fn an_object_that_changes_after_a_death_counts_once_as_it_was_or_as_it_is() {
    for first in 0.. {
        let world = World::new();
        let alive = world.run(Fault::Death(first)).await.0.is_ok();
        let done = world.check_snapshot() > 0 || fs::read_dir(world.dst().join("_manifests")).is_ok();
        world.put(OBJECTS[0].0, CHANGED);
        world.save();
        for second in 0.. {
            world.restore();
            let (_, begun) = world.run(Fault::Death(second)).await;
            let ended = begun < second;
            world.check_snapshot();
            // One run gives up what can no longer be done, and the next plans it anew.
            world.run(Fault::None).await.0.ok();
            let (last, _) = world.run(Fault::None).await;
            let after = format!("dead after {first}, changed, dead after {second}");
            if done {
                assert!(matches!(last, Err(Error::Overwritten { .. })), "{after}: {last:?}");
                world.check_rows_of_done(&after);
            } else {
                last.unwrap_or_else(|error| panic!("{after}: {error}"));
                world.check_rows(&[1, 3, 4, 50, 51], &after);
            }
            if ended {
                break;
            }
        }
        if alive {
            break;
        }
    }
}

impl World {
    /// An overwritten object stops a run before it brings the summary up to date.
    fn check_rows_of_done(&self, after: &str) {
        assert_eq!(self.rows(), ALL, "{after}");
    }
}

#[tokio::test]
async fn a_process_that_sleeps_at_any_io_while_another_runs_does_no_harm() {
    for at in 1.. {
        let world = World::new();
        let faults = Faults::new(Fault::Sleep(at));
        let other = async {
            if !faults.asleep().await {
                return None;
            }
            world.put("2026/11/23/05/later", &["{\"n\":8}\n"]);
            let (result, _) = world.run(Fault::None).await;
            world.check_snapshot();
            faults.wake();
            Some(result)
        };
        let sleeper = async {
            let result = world.run_with(&faults).await;
            faults.end();
            result
        };
        let (sleeper, other) = tokio::join!(sleeper, other);
        let after = format!("one slept at {at}");
        sleeper.unwrap_or_else(|error| panic!("{after}: {error}"));
        let Some(other) = other else { break };
        other.unwrap_or_else(|error| panic!("{after}: {error}"));
        assert_eq!(world.check_snapshot(), 5, "{after}");
        world.check_final(&[1, 2, 3, 4, 8], &after).await;
    }
}

#[tokio::test]
async fn two_compactors_at_once_that_may_die_leave_each_row_once() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..150 {
        let world = World::new();
        let mut fault = || if random.bool() { Fault::Death(random.usize(0..60)) } else { Fault::None };
        let (a, b) = (fault(), fault());
        let later = async {
            // The first may have listed the source before.
            world.put("2026/11/23/05/later", &["{\"n\":8}\n"]);
            world.run(b).await
        };
        let ((a_result, _), (b_result, _)) = tokio::join!(world.run(a), later);
        assert!(a_result.is_ok() || a != Fault::None, "round {round}: {a_result:?}");
        assert!(b_result.is_ok() || b != Fault::None, "round {round}: {b_result:?}");
        let seen = world.check_snapshot();
        assert!([0, 1, 4, 5].contains(&seen), "{seen} rows of plans of 4 or 5, or of 4 and 1");
        world.put("2026/11/23/06/late", &["{\"n\":9}\n"]);
        let after = format!("round {round}, {a:?} beside {b:?}");
        let (a, b) = tokio::join!(world.run(Fault::None), world.run(Fault::None));
        a.0.unwrap_or_else(|error| panic!("{after}: {error}"));
        b.0.unwrap_or_else(|error| panic!("{after}: {error}"));
        world.check_rows(&[1, 2, 3, 4, 8, 9], &after);
    }
}
