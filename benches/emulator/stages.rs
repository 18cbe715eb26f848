//! Each stage of the record path alone, in this process, beside what it cannot be faster than.
//!
//! Speeds are MB/s of record data on one core; a limit handles the same bytes as its stage.

use crate::Effort;
use alluvial_benches::records::{BATCH, DATA_BYTES, KEY_BYTES, body, record};
use alluvial_benches::{Contender, Result, Table, speeds};
use alluvial_emulator::stages::{self, Read, Shard};
use alluvial_emulator::{Clock, Kinesis};
use base64_simd::STANDARD;
use bytes::Bytes;
use ring::aead;
use rustls::{ClientConnection, ServerConnection};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::json;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one TLS record.
const TLS_RECORD_BYTES: usize = 16 * 1024;
/// Segments are read again before they fill the page cache.
const APPENDED_BYTES: u64 = 1 << 30;

/// A stage, its limit, and the data bytes that one turn of either handles.
struct Pair<'a> {
    stage: &'static str,
    limit: &'static str,
    run: Box<dyn FnMut() + 'a>,
    bound: Box<dyn FnMut() + 'a>,
    data_bytes: u64,
}

/// Medians of interleaved turns.
pub(crate) fn measure(effort: Effort) -> Result<Table> {
    let folder = tempfile::tempdir()?;
    let mut random = fastrand::Rng::with_seed(1);
    let (mut keys_and_data, mut encoded, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let (key, bytes) = record(&mut random);
        keys_and_data.extend_from_slice(&key);
        keys_and_data.extend_from_slice(&bytes);
        encoded.push(STANDARD.encode_to_string(bytes));
        data.push(bytes);
    }
    let put = body(&mut random);
    let mut shard = Shard::new(folder.path());
    shard.append(&keys_and_data, KEY_BYTES, DATA_BYTES)?;
    let read = shard.read(1)?.ok_or("no records")?;
    let json = shard.render(&read);
    let message = stages::frame(json.clone())?;

    let mut table = Table::new("Stages on one core, MB/s of record data", &["stage", "limit", "ratio"]);
    let mut pairs = into_the_stream(&put, &encoded, &keys_and_data, &folder)?;
    pairs.extend(out_of_the_stream(&shard, &read, &data, &json, &message));
    pairs.push(encryption(&message, &read)?);
    for Pair { stage, limit, mut run, mut bound, data_bytes } in pairs {
        let turns = (effort.mib << 20) / data_bytes;
        let repeat = |work: &mut dyn FnMut()| {
            (0..turns).for_each(|_| work());
            turns * data_bytes
        };
        let medians = speeds(
            effort.rounds,
            &mut [
                Contender { name: stage, work: Box::new(|| repeat(&mut run)) },
                Contender { name: limit, work: Box::new(|| repeat(&mut bound)) },
            ],
        );
        if let [speed, bound] = medians[..] {
            table.row(format!("{stage} | {limit}"), [speed, bound, speed / bound]);
        }
    }
    Ok(table)
}

fn into_the_stream<'a>(
    put: &'a Bytes,
    encoded: &'a [String],
    lot: &'a [u8],
    folder: &'a tempfile::TempDir,
) -> Result<Vec<Pair<'a>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let kinesis = {
        let _entered = runtime.enter();
        Kinesis::new(Clock::new(1.0)?, Some(folder.path().to_owned()), false, Duration::ZERO)
    };
    let create = json!({"StreamName": "bench", "ShardCount": 4}).to_string();
    assert!(runtime.block_on(stages::call(&kinesis, "CreateStream", create.into())), "a stream");
    let data_bytes = (BATCH * DATA_BYTES) as u64;
    let (mut decoded, mut copy) = (Vec::new(), Vec::new());
    let (mut shard, mut appended) = (Shard::new(folder.path()), 0);
    Ok(vec![
        Pair {
            stage: "parse PutRecords",
            limit: "check UTF-8",
            run: Box::new(move || stages::parse_put_records(put).expect("a valid request")),
            bound: Box::new(move || {
                std::hint::black_box(std::str::from_utf8(std::hint::black_box(put)).is_ok());
            }),
            data_bytes,
        },
        Pair {
            stage: "append to the log",
            limit: "copy",
            run: Box::new(move || {
                if appended > APPENDED_BYTES {
                    (shard, appended) = (Shard::new(folder.path()), 0);
                }
                shard.append(lot, KEY_BYTES, DATA_BYTES).expect("room on the disk");
                appended += data_bytes;
            }),
            bound: Box::new(move || copied(lot, &mut copy)),
            data_bytes,
        },
        Pair {
            stage: "PutRecords, all of it",
            limit: "decode base64",
            run: Box::new(move || {
                assert!(runtime.block_on(stages::call(&kinesis, "PutRecords", put.clone())), "records");
            }),
            bound: Box::new(move || {
                for text in encoded {
                    decoded.clear();
                    STANDARD.decode_append(text, &mut decoded).expect("base64");
                }
            }),
            data_bytes,
        },
    ])
}

fn out_of_the_stream<'a>(
    shard: &'a Shard,
    read: &'a Read,
    data: &'a [[u8; DATA_BYTES]],
    json: &'a [u8],
    message: &'a Bytes,
) -> Vec<Pair<'a>> {
    let data_bytes = data_bytes(read);
    let count = read.bytes() / (KEY_BYTES + DATA_BYTES);
    let (mut copy, mut text) = (vec![0; read.bytes()], Vec::new());
    let source = vec![7; read.bytes()];
    vec![
        Pair {
            stage: "plan and read",
            limit: "copy",
            run: Box::new(|| drop(std::hint::black_box(shard.read(1)))),
            bound: Box::new(move || copied(&source, &mut copy)),
            data_bytes,
        },
        Pair {
            stage: "render the event",
            limit: "encode base64",
            run: Box::new(|| drop(std::hint::black_box(shard.render(read)))),
            bound: Box::new(move || {
                text.clear();
                data.iter().take(count).for_each(|bytes| STANDARD.encode_append(bytes, &mut text));
                std::hint::black_box(&mut text);
            }),
            data_bytes,
        },
        Pair {
            stage: "render and frame",
            limit: "encode, CRC-32",
            run: Box::new(|| drop(std::hint::black_box(shard.event(read)))),
            bound: {
                let mut text = Vec::new();
                Box::new(move || {
                    text.clear();
                    data.iter().take(count).for_each(|bytes| STANDARD.encode_append(bytes, &mut text));
                    std::hint::black_box(crc32fast::hash(&text));
                })
            },
            data_bytes,
        },
        Pair {
            stage: "frame",
            limit: "CRC-32",
            run: Box::new(|| drop(std::hint::black_box(stages::frame(json.to_vec())))),
            bound: Box::new(|| {
                std::hint::black_box(crc32fast::hash(message));
            }),
            data_bytes,
        },
    ]
}

fn encryption<'a>(message: &'a Bytes, read: &Read) -> Result<Pair<'a>> {
    let mut server = connected()?;
    let mut sent = Vec::with_capacity(message.len() * 2);
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &[7; 32]).map_err(|_| "a key")?);
    let mut plain = message.to_vec();
    Ok(Pair {
        stage: "TLS",
        limit: "AES-256-GCM",
        run: Box::new(move || {
            let mut rest = &message[..];
            while !rest.is_empty() {
                let taken = server.writer().write(rest).expect("an open connection");
                rest = &rest[taken..];
                sent.clear();
                while server.wants_write() {
                    server.write_tls(&mut sent).expect("room in memory");
                }
            }
        }),
        bound: Box::new(move || {
            for record in plain.chunks_mut(TLS_RECORD_BYTES) {
                let nonce = aead::Nonce::assume_unique_for_key([0; 12]);
                let sealed = key.seal_in_place_separate_tag(nonce, aead::Aad::empty(), record);
                std::hint::black_box(sealed.is_ok());
            }
        }),
        data_bytes: data_bytes(read),
    })
}

/// The server's end of a TLS connection in memory, with the emulator's configuration, its handshake done.
fn connected() -> Result<ServerConnection> {
    let (config, ca) = stages::tls_config(alluvial_runtime::clock::Clock::system().now())?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ca.as_bytes()).filter_map(std::result::Result::ok));
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from("localhost")?)?;
    let mut server = ServerConnection::new(config)?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire)?;
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest)?;
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire)?;
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest)?;
            client.process_new_packets()?;
        }
    }
    Ok(server)
}

fn data_bytes(read: &Read) -> u64 {
    (read.bytes() / (KEY_BYTES + DATA_BYTES) * DATA_BYTES) as u64
}

fn copied(source: &[u8], target: &mut Vec<u8>) {
    target.clear();
    target.extend_from_slice(std::hint::black_box(source));
    std::hint::black_box(target);
}
