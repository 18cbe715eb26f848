//! What a consumer pays for subscriptions: our own reader of events against the SDK's, over the same connections.
//!
//! `cargo bench -p alluvial-benches --bench subscription [-- --quick]`. The emulator runs in a process of its own, on the other core, and sends
//! what lies in eight shards over TLS and HTTP/2; what is counted is the CPU time of the reading thread, which does
//! everything else. Both readers take turns, and must bring the same records.

mod load;
mod reading;

use alluvial_benches::{Protocol, Result, Server, Table, Windows, machine, median, pin_self, save};
use alluvial_consumer::SubscriptionKind;
use load::Load;
use reading::{Reader, Turn};
use serde_json::{Map, Value};

/// Payload per CPU second of the reading thread, and the ratio of the medians.
const COLUMNS: &[&str] = &["SDK MB/s", "direct MB/s", "ratio", "goal"];
/// Bytes of a record, how many, and the ratio that is wanted.
const LOADS: [(Load, f64); 3] = [
    (Load { record_bytes: 100, records: 400_000 }, 2.2),
    (Load { record_bytes: 1_024, records: 100_000 }, 2.2),
    (Load { record_bytes: 10_240, records: 15_000 }, 1.9),
];
const ROUNDS: usize = 9;

fn main() -> Result<()> {
    let rounds = if std::env::args().any(|option| option == "--quick") { 3 } else { ROUNDS };
    alluvial_benches::bin("alluvial")?;
    pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let title = format!("SubscribeToShard over TLS, MB of payload for a CPU second; medians of {rounds}");
    let mut table = Table::new(title, COLUMNS);
    for (load, goal) in LOADS {
        let (sdk, direct) = runtime.block_on(measure(load, rounds))?;
        table.row(format!("{} B", load.record_bytes), [sdk, direct, direct / sdk, goal]);
    }
    table.print()?;
    save(
        "subscription",
        &Value::Object(Map::from_iter([("machine".into(), machine()?), ("speed".into(), table.json())])),
    )
}

/// The medians of both.
async fn measure(load: Load, rounds: usize) -> Result<(f64, f64)> {
    let server = Server::start(false)?;
    let mut control = server.connect(Protocol::H2c, Windows::SDK).await?;
    server.create_stream(&mut control, reading::SHARDS).await?;
    load.put(&mut control).await?;
    let reader = Reader::new(&server, load).await?;
    let (mut speeds, mut first) = ([Vec::new(), Vec::new()], None);
    for round in 0..rounds {
        for (kind, speeds) in [SubscriptionKind::Sdk, SubscriptionKind::Direct].into_iter().zip(&mut speeds) {
            let consumer = server.register(&mut control, &format!("{kind:?}-{round}")).await?;
            let Turn { cpu, content } = reader.read_all(kind, &consumer).await?;
            if *first.get_or_insert(content) != content {
                return Err(format!("{kind:?} brought other records").into());
            }
            speeds.push(load.payload_megabytes() / cpu.as_secs_f64());
        }
    }
    let [sdk, direct] = &mut speeds;
    Ok((median(sdk), median(direct)))
}
