//! `compact` against its peers: the same objects, in turns, as processes of their own.
//!
//! `cargo bench -p alluvial-benches --bench compact [-- [--quick | --full] [--rounds N] [A] [B] [--peers]]`. The data
//! is made below `target/bench/compact`, as is a Python environment with pinned packages. Every output is read back by
//! pyarrow, and its rows and sums are compared with what the generator wrote, to the last bit.
//! The peers are DuckDB with its defaults and tuned, and arrow-json with libdeflate, put together in this folder.
//! `--peers` adds DuckDB with the settings with which it reads every row for the schema, as `compact` does, chDB,
//! Polars, pyarrow, and PySpark (which needs Java). `--full` makes the sets of 1.5 and 1 GB. The stages of `compact` are
//! measured alone, too: how much more CPU time does the whole take than they do together?

mod data;
mod stages;

use alluvial_benches::{Result, Table, bin, machine, median, save};
use data::{Data, Set};
use serde_json::{Map, Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The stages use memory as `compact` does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What reads the outputs.
const PYARROW: &str = "pyarrow==26.0.1";

/// Who takes turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Compact,
    ArrowJson,
    Python(Peer),
}

/// A library of Python's that does the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer {
    title: &'static str,
    /// What pip installs.
    package: &'static str,
    /// What `peer.py` calls it.
    name: &'static str,
    mode: &'static str,
}

impl Peer {
    const fn new(title: &'static str, package: &'static str, name: &'static str, mode: &'static str) -> Self {
        Self { title, package, name, mode }
    }
}

const DUCKDB: &str = "duckdb==2.0.0";

const ALWAYS: [Peer; 2] =
    [Peer::new("DuckDB, defaults", DUCKDB, "duckdb", "default"), Peer::new("DuckDB, tuned", DUCKDB, "duckdb", "tuned")];

const MORE: [Peer; 5] = [
    Peer::new("DuckDB, drift-safe", DUCKDB, "duckdb", "whole"),
    Peer::new("chDB", "chdb==4.4.0", "chdb", ""),
    Peer::new("Polars", "polars==2.1.0", "polars", ""),
    Peer::new("pyarrow", PYARROW, "pyarrow", ""),
    Peer::new("PySpark", "pyspark==4.3.0", "pyspark", ""),
];

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::ArrowJson => "arrow-json",
            Self::Python(peer) => peer.title,
        }
    }
}

struct Bench {
    python: PathBuf,
    compact: PathBuf,
    folder: PathBuf,
    rounds: usize,
}

fn main() -> Result<()> {
    let options: Vec<String> = std::env::args().skip(1).filter(|option| option != "--bench").collect();
    let has = |name: &str| options.iter().any(|option| option == name);
    let size = |set| match set {
        _ if has("--quick") => 150_000_000,
        _ if !has("--full") => 500_000_000,
        Set::Nested => 1_500_000_000,
        Set::Flat => 1_000_000_000,
    };
    let given = options.iter().position(|option| option == "--rounds").and_then(|at| options.get(at + 1));
    let rounds = match given {
        Some(text) => text.parse()?,
        None if has("--quick") => 1,
        None => 5,
    };
    let folder = std::path::absolute(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/compact"))?;
    fs::create_dir_all(&folder)?;
    let python = python(&folder)?;
    let mut contenders = vec![Contender::Compact, Contender::ArrowJson];
    for peer in ALWAYS.into_iter().chain(has("--peers").then_some(MORE).into_iter().flatten()) {
        if installed(&python, peer.package)? {
            contenders.push(Contender::Python(peer));
        } else {
            writeln!(std::io::stderr(), "{} is left out: pip cannot install {}", peer.title, peer.package)?;
        }
    }
    let bench = Bench { python, compact: bin("compact")?, folder, rounds };
    let mut results = Map::new();
    for set in Set::ALL {
        if (has("A") || has("B")) && !has(set.name()) {
            continue;
        }
        let data = set.make(&bench.folder.join("data"), size(set))?;
        results.insert(set.name().to_owned(), bench.set(set, &data, &contenders)?);
    }
    let packages: Vec<&str> = contenders
        .iter()
        .filter_map(|contender| if let Contender::Python(peer) = contender { Some(peer.package) } else { None })
        .collect();
    save("compact", &json!({"machine": machine()?, "rounds": bench.rounds, "peers": packages, "sets": results}))
}

/// An environment with the pinned packages.
fn python(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("venv/bin/python");
    if !python.exists() && !Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")).status()?.success() {
        return Err("python3 -m venv failed".into());
    }
    if installed(&python, PYARROW)? { Ok(python) } else { Err("pip install failed".into()) }
}

fn installed(python: &Path, package: &str) -> Result<bool> {
    let mut pip = Command::new(python);
    Ok(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]).status()?.success())
}

impl Bench {
    fn set(&self, set: Set, data: &Data, contenders: &[Contender]) -> Result<Value> {
        let mut walls = vec![Vec::new(); contenders.len()];
        let mut cpus = walls.clone();
        let mut memories = walls.clone();
        let mut sizes = vec![0.0; contenders.len()];
        for round in 0..self.rounds {
            // Who comes after one that took all memory has to wait for it: that is another one in each round.
            for at in (0..contenders.len()).map(|turn| (turn + round) % contenders.len()) {
                let contender = &contenders[at];
                let out = self.folder.join("out").join(set.name()).join(contender.name().replace([' ', ','], "-"));
                if out.exists() {
                    fs::remove_dir_all(&out)?;
                }
                let took = self.turn(set, data, *contender, &out)?;
                walls[at].push(number(&took, "wall")?);
                cpus[at].push(number(&took, "cpu")?);
                memories[at].push(number(&took, "mib")?);
                sizes[at] = self.check(set, data, *contender, &out)? / 1e6;
            }
        }
        let json_mb = data.json_bytes as f64 / 1e6;
        let title = format!(
            "{}: {:.0} MB of JSON, {:.0} MB of gzip, {} rows; medians of {} turns",
            set.name(),
            json_mb,
            data.gzip_bytes as f64 / 1e6,
            data.rows,
            self.rounds
        );
        let mut table = Table::new(title, &["wall s", "CPU s", "MB/s", "peak MiB", "out MB", "times"]);
        let ours = median(&mut walls[0].clone());
        for (at, contender) in contenders.iter().enumerate() {
            let wall = median(&mut walls[at]);
            let figures =
                [wall, median(&mut cpus[at]), json_mb / wall, median(&mut memories[at]), sizes[at], wall / ours];
            table.row(contender.name(), figures);
        }
        table.print()?;
        let parts = stages::measure(set.name(), &data.folder, self.rounds)?;
        parts.table.print()?;
        let over = median(&mut cpus[0]) / (parts.cpu_s_per_gb * json_mb / 1000.0);
        writeln!(std::io::stdout(), "  compact takes {over:.2} times the CPU time of its stages")?;
        Ok(json!({"tools": table.json(), "stages": parts.table.json(), "cpu_over_stages": over}))
    }

    fn turn(&self, set: Set, data: &Data, contender: Contender, out: &Path) -> Result<Value> {
        let mut command = self.peer();
        match contender {
            Contender::Compact => {
                command.arg("run").arg(&self.compact).arg("run").arg(&data.folder).arg(out).arg("--json")
            }
            Contender::ArrowJson => command
                .args(["run", env!("CARGO_BIN_EXE_bench_arrow_json")])
                .args([&data.folder, out])
                .arg(std::thread::available_parallelism()?.to_string()),
            Contender::Python(peer) => {
                command.args(["peer", peer.name]).args([&data.folder, out]).args([set.name(), peer.mode])
            }
        };
        answer(&mut command)
    }

    /// What pyarrow finds, which must be what was generated; returns the bytes of the files.
    fn check(&self, set: Set, data: &Data, contender: Contender, out: &Path) -> Result<f64> {
        let found = answer(self.peer().args(["check", set.name()]).arg(out))?;
        let same = found["rows"] == data.rows
            && found["int_sum"] == data.int_sum
            && found["double_sum"].as_f64().is_some_and(|sum| {
                // Others do not all keep the order of rows, and so not that of the additions.
                let tolerance = if contender == Contender::Compact { 0.0 } else { data.double_sum.abs() * 1e-9 };
                (sum - data.double_sum).abs() <= tolerance
            });
        if same {
            number(&found, "bytes")
        } else {
            Err(format!("{}: {found} is not {data:?}", contender.name()).into())
        }
    }

    fn peer(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("compact/peer.py"));
        command
    }
}

/// The JSON object that a command prints.
fn answer(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    if !output.status.success() {
        std::io::stderr().write_all(&output.stderr)?;
        return Err(format!("{command:?} failed").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().ok_or_else(|| format!("no {key} in {value}").into())
}
