//! From threads that encode to the store: files as `io::Write`, staged by a task.

use crate::error::Error;
use crate::manifest::OutputFile;
use crate::store::{PART_BYTES, Staged, Store, Upload};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use tokio::sync::mpsc;

/// Parts on their way, each of at most [`PART_BYTES`].
const QUEUE: usize = 2;

/// What a thread asks of the store. Files are told apart by name.
#[derive(Debug)]
enum Command {
    Write { name: String, part: Bytes },
    Close { name: String },
}

/// Where files begin.
#[derive(Debug, Clone)]
pub(crate) struct Outlet(mpsc::Sender<Command>);

/// The other end, for [`stage_all`].
#[derive(Debug)]
pub(crate) struct Commands(mpsc::Receiver<Command>);

/// A file that is being written. It exists once its first part is full, or it is closed.
#[derive(Debug)]
pub(crate) struct OutFile {
    outlet: Outlet,
    name: String,
    part: Vec<u8>,
    bytes: u64,
    crc: crc32fast::Hasher,
}

/// An outlet and the commands that come through it.
pub(crate) fn channel() -> (Outlet, Commands) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Outlet(sender), Commands(receiver))
}

impl Outlet {
    /// Begins the file `name`. To be used on a thread that may block.
    pub(crate) fn create(&self, name: String) -> OutFile {
        OutFile { outlet: self.clone(), name, part: Vec::new(), bytes: 0, crc: crc32fast::Hasher::new() }
    }
}

impl OutFile {
    /// Ends the file, which has so many rows, and says what it is. A file that is dropped instead is never staged.
    pub(crate) fn close(mut self, rows: u64) -> Result<OutputFile, Error> {
        if !self.part.is_empty() {
            self.send_part().map_err(|_| Error::Stopped)?;
        }
        self.outlet.0.blocking_send(Command::Close { name: self.name.clone() }).map_err(|_| Error::Stopped)?;
        let crc32 = Some(format!("{:08x}", self.crc.finalize()));
        Ok(OutputFile { path: self.name, rows, bytes: self.bytes, crc32 })
    }

    fn send_part(&mut self) -> io::Result<()> {
        // Where one part was full, the next one most likely is, too.
        let next = Vec::with_capacity(if self.part.len() >= PART_BYTES { PART_BYTES } else { 0 });
        let part = Bytes::from(std::mem::replace(&mut self.part, next));
        let command = Command::Write { name: self.name.clone(), part };
        self.outlet.0.blocking_send(command).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, Error::Stopped))
    }
}

impl io::Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.part.len());
        let bytes = bytes.get(..taken).unwrap_or_default();
        self.part.extend_from_slice(bytes);
        self.crc.update(bytes);
        self.bytes += taken as u64;
        if self.part.len() >= PART_BYTES {
            self.send_part()?;
        }
        Ok(taken)
    }

    /// Does nothing: a part is sent once it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stages every file that comes through the outlet, until all its ends are dropped.
///
/// What was staged is returned even when an error stopped the rest, so that it can be discarded.
pub(crate) async fn stage_all(store: &Store, mut commands: Commands) -> (Vec<Staged>, Result<(), Error>) {
    let mut staged = Vec::new();
    let mut open = HashMap::new();
    let mut result = Ok(());
    while let Some(command) = commands.0.recv().await {
        result = carry_out(store, command, &mut open, &mut staged).await;
        if result.is_err() {
            break;
        }
    }
    for upload in open.into_values() {
        upload.abort().await;
    }
    (staged, result)
}

async fn carry_out(
    store: &Store,
    command: Command,
    open: &mut HashMap<String, Upload>,
    staged: &mut Vec<Staged>,
) -> Result<(), Error> {
    match command {
        Command::Write { name, part } => match open.get_mut(&name) {
            Some(upload) => upload.write(part).await?,
            None => {
                let upload = store.create(name.clone()).await?;
                open.entry(name).or_insert(upload).write(part).await?;
            }
        },
        Command::Close { name } => {
            if let Some(upload) = open.remove(&name) {
                staged.push(upload.stage().await?);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;
    use std::io::Write as _;

    #[tokio::test]
    async fn files_arrive_whole_and_only_when_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&Location::Local(folder.path().to_owned()), None).expect("a store");
        let (outlet, commands) = channel();
        let content = vec![7; PART_BYTES * 2 + 100];
        let expected = content.clone();
        let writer = tokio::task::spawn_blocking(move || {
            let mut whole = outlet.create("a/whole".to_owned());
            let mut dropped = outlet.create("dropped".to_owned());
            whole.write_all(&content).expect("written");
            dropped.write_all(&content).expect("written");
            drop(dropped);
            whole.close(7)
        });
        let (staged, result) = stage_all(&store, commands).await;
        result.expect("staged");
        let file = writer.await.expect("no panic").expect("closed");
        assert_eq!((file.rows, file.bytes), (7, expected.len() as u64));
        assert_eq!(file.crc32, Some(format!("{:08x}", crc32fast::hash(&expected))));
        assert_eq!(
            staged.iter().map(|file| (file.name.as_str(), file.bytes)).collect::<Vec<_>>(),
            [("a/whole", expected.len() as u64)]
        );
        assert!(!folder.path().join("a/whole").exists());
        store.publish(&staged[0]).await.expect("published");
        assert_eq!(std::fs::read(folder.path().join("a/whole")).expect("the file"), expected);
    }
}
