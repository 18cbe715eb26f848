//! The two data sets: objects as Firehose leaves them, the same for the same size.

use alluvial_benches::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Shapes of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// Nested messages of 1.2 MB, each a gzip member of its own, 30 to an object.
    Nested,
    /// Records of 136 bytes, 500 to a member, 920 members to an object.
    Flat,
}

/// A data set on disk, and what a reader must find in it.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) folder: PathBuf,
    pub(crate) rows: u64,
    pub(crate) json_bytes: u64,
    pub(crate) gzip_bytes: u64,
    /// Of A, over all elements of `testAdditonalDataList.dimesnion_X`; of B, over `currentTemperature`.
    pub(crate) int_sum: i64,
    /// Of A, over all elements of `gpsSensorList.longitude`, in the order of the rows; of B, 0.
    pub(crate) double_sum: f64,
}

impl Set {
    pub(crate) const ALL: [Self; 2] = [Self::Nested, Self::Flat];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nested => "A",
            Self::Flat => "B",
        }
    }

    fn rows_in_member(self) -> u64 {
        match self {
            Self::Nested => 1,
            Self::Flat => 500,
        }
    }

    fn members_in_object(self) -> u64 {
        match self {
            Self::Nested => 30,
            Self::Flat => 920,
        }
    }

    /// Makes the set with about `json_bytes` of JSON below `folder`, in the place of any other.
    pub(crate) fn make(self, folder: &Path, json_bytes: u64) -> Result<Data> {
        let folder = folder.join(self.name());
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut data = Data { folder, rows: 0, json_bytes: 0, gzip_bytes: 0, int_sum: 0, double_sum: 0.0 };
        let mut random = fastrand::Rng::with_seed(7);
        let devices: Vec<String> = (0..10_000).map(|_| uuid(&mut random)).collect();
        let mut member = String::new();
        while data.json_bytes < json_bytes {
            let mut object = Vec::new();
            let number = data.rows / self.rows_in_member() / self.members_in_object();
            for _ in 0..self.members_in_object() {
                member.clear();
                for _ in 0..self.rows_in_member() {
                    match self {
                        Self::Nested => nested(&mut member, &mut random, &mut data)?,
                        Self::Flat => flat(&mut member, &mut random, &devices, &mut data)?,
                    }
                    data.rows += 1;
                }
                data.json_bytes += member.len() as u64;
                let mut gzip = GzEncoder::new(&mut object, Compression::new(6));
                gzip.write_all(member.as_bytes())?;
                gzip.finish()?;
            }
            data.gzip_bytes += object.len() as u64;
            let mut file = fs::File::create(data.folder.join(format!("stream-1-2026-11-23-05-00-00-{number:05}")))?;
            file.write_all(&object)?;
            // Or the disk would be busy with it in the first turns.
            file.sync_all()?;
        }
        Ok(data)
    }
}

fn uuid(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn nested(out: &mut String, random: &mut fastrand::Rng, data: &mut Data) -> Result<()> {
    write!(out, "{{\"deviceId\":\"{}\",\"currentDate\":\"2026-11-23T05:00:00.000Z\"", uuid(random))?;
    let lists: [(&str, &[&str], usize); 4] = [
        (
            "accelerometerSensorList",
            &["accelX", "accelY", "accelZ", "gyroX", "gyroY", "gyroZ", "magX", "magY", "magZ"],
            2000,
        ),
        ("gpsSensorList", &["longitude", "latitude", "heading", "altitude"], 2000),
        ("tempSensorList", &["kelvin", "celsius", "fahrenheit"], 2000),
        ("illuminanceSensorList", &["illuminance"], 2000),
    ];
    for (at, (list, fields, length)) in lists.into_iter().enumerate() {
        write!(out, ",\"{list}\":[")?;
        for element in 0..length {
            out.push_str(if element > 0 { ",{" } else { "{" });
            for (position, field) in fields.iter().enumerate() {
                let comma = if position > 0 { "," } else { "" };
                if at == 0 {
                    write!(out, "{comma}\"{field}\":{}", random.u8(1..=10))?;
                } else {
                    let value = random.f64() * 100.0;
                    data.double_sum += if *field == "longitude" { value } else { 0.0 };
                    write!(out, "{comma}\"{field}\":{value}")?;
                }
            }
            out.push('}');
        }
        out.push(']');
    }
    out.push_str(",\"testAdditonalDataList\":[");
    for element in 0..5000 {
        let [x, y, z] = [random.u8(1..=10), random.u8(1..=10), random.u8(1..=10)];
        data.int_sum += i64::from(x);
        let comma = if element > 0 { "," } else { "" };
        write!(out, "{comma}{{\"dimesnion_X\":{x},\"dimesnion_Y\":{y},\"dimesnion_Z\":{z}}}")?;
    }
    out.push_str("]}\r\n");
    Ok(())
}

fn flat(out: &mut String, random: &mut fastrand::Rng, devices: &[String], data: &mut Data) -> Result<()> {
    let temperature = random.i64(10..=150);
    data.int_sum += temperature;
    let status = ["OK", "FAIL", "WARN"][random.usize(..3)];
    let millis = data.rows / 64;
    let (second, milli) = (millis / 1000, millis % 1000);
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let device = &devices[random.usize(..devices.len())];
    writeln!(
        out,
        "{{\"sensorId\":{},\"currentTemperature\":{temperature},\"status\":\"{status}\",\
         \"ts\":\"2026-11-23T{hour:02}:{minute:02}:{second:02}.{milli:03}Z\",\"deviceId\":\"{device}\"}}",
        random.u8(0..=50),
    )?;
    Ok(())
}
