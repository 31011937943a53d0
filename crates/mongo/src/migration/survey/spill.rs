//! Groups more records than fit into memory: those that belong together go to one bucket of a temporary file, and one
//! bucket at a time comes back. Small collections never touch the disk.
//!
//! The file is written and read on the calling thread: it is the page cache that answers, a few kilobytes at a time.

use std::{
    collections::hash_map::DefaultHasher,
    fs::File,
    hash::Hasher,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

/// A collection of 100 million chats makes buckets of some 30 MB.
const BUCKETS: usize = 256;
/// What a bucket keeps in memory before it is written out.
const CHUNK_BYTES: usize = 16 * 1024;

/// Takes records in.
pub(crate) struct Spill {
    buckets: Vec<Bucket>,
    file: Option<File>,
    end: u64,
}

#[derive(Default)]
struct Bucket {
    /// Where its parts are in the file, in order: offset and length.
    chunks: Vec<(u64, u32)>,
    rest: Vec<u8>,
}

impl Spill {
    pub(crate) fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(), file: None, end: 0 }
    }

    /// Adds a record to the group that has this name.
    pub(crate) fn add(&mut self, group: &[u8], item: &[u8]) -> io::Result<()> {
        let mut hasher = DefaultHasher::new();
        hasher.write(group);
        let index = usize::try_from(hasher.finish() % BUCKETS as u64).expect("there are few buckets");
        self.add_to(index, group, item)
    }

    /// The same, for names that sort as `place` does, of places up to `last`: groups come back in the order of their
    /// names then. Not together with [`Spill::add`].
    pub(crate) fn add_in_order(
        &mut self,
        (place, last): (u64, u64),
        group: &[u8],
        item: &[u8],
    ) -> io::Result<()> {
        let per_bucket = (last / BUCKETS as u64).saturating_add(1);
        let index = usize::try_from(place / per_bucket).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1));
        self.add_to(index, group, item)
    }

    fn add_to(&mut self, index: usize, group: &[u8], item: &[u8]) -> io::Result<()> {
        let bucket = &mut self.buckets[index];
        push(&mut bucket.rest, group);
        push(&mut bucket.rest, item);
        if bucket.rest.len() < CHUNK_BYTES {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&bucket.rest)?;
        let length = u32::try_from(bucket.rest.len()).map_err(io::Error::other)?;
        bucket.chunks.push((self.end, length));
        self.end += u64::from(length);
        bucket.rest.clear();
        Ok(())
    }

    /// Gives back what was taken in, as often as it is asked for.
    pub(crate) fn finish(self) -> Spilled {
        Spilled(Arc::new(Mutex::new(self)))
    }
}

/// Records that can be read, group by group.
#[derive(Clone)]
pub(crate) struct Spilled(Arc<Mutex<Spill>>);

impl Spilled {
    /// All groups, those of a bucket in the order of their names; the same order for the same records.
    pub(crate) fn groups(&self) -> Groups {
        Groups { spill: self.clone(), next: 0, bucket: Loaded::default() }
    }

    fn load(&self, index: usize) -> io::Result<Loaded> {
        // A seek and a read that failed in between leave nothing that the next one depends on.
        let mut spill = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Spill { buckets, file, .. } = &mut *spill;
        let bucket = &buckets[index];
        let written: usize = bucket.chunks.iter().map(|(_, length)| *length as usize).sum();
        let mut bytes = vec![0; written];
        let mut at = 0;
        for (offset, length) in &bucket.chunks {
            let file = file.as_mut().expect("a chunk was written to it");
            file.seek(SeekFrom::Start(*offset))?;
            file.read_exact(&mut bytes[at..at + *length as usize])?;
            at += *length as usize;
        }
        bytes.extend_from_slice(&bucket.rest);
        Ok(Loaded::new(bytes))
    }
}

/// One bucket in memory.
#[derive(Default)]
struct Loaded {
    bytes: Vec<u8>,
    /// Where records begin, sorted by group; within a group as they were added.
    records: Vec<usize>,
    /// The first record that was not handed out.
    next: usize,
}

impl Loaded {
    fn new(bytes: Vec<u8>) -> Self {
        let (mut records, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            records.push(at);
            let (_, item) = take(&bytes, at);
            at = take(&bytes, item).1;
        }
        records.sort_by(|one, other| take(&bytes, *one).0.cmp(take(&bytes, *other).0));
        Self { bytes, records, next: 0 }
    }

    fn group(&mut self) -> Option<Group> {
        let first = *self.records.get(self.next)?;
        let name = take(&self.bytes, first).0;
        let rest = &self.records[self.next..];
        let length = rest.iter().take_while(|at| take(&self.bytes, **at).0 == name).count();
        let items = rest[..length].iter().map(|at| {
            let (_, item) = take(&self.bytes, *at);
            take(&self.bytes, item).0.to_vec()
        });
        let group = Group { name: name.to_vec(), items: items.collect() };
        self.next += length;
        Some(group)
    }
}

/// Records that were added under one name, in the order in which they were added.
pub(crate) struct Group {
    pub(crate) name: Vec<u8>,
    pub(crate) items: Vec<Vec<u8>>,
}

/// Goes through all groups.
pub(crate) struct Groups {
    spill: Spilled,
    next: usize,
    bucket: Loaded,
}

impl Iterator for Groups {
    type Item = io::Result<Group>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(group) = self.bucket.group() {
                return Some(Ok(group));
            }
            if self.next == BUCKETS {
                return None;
            }
            self.next += 1;
            match self.spill.load(self.next - 1) {
                Ok(bucket) => self.bucket = bucket,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Length first; what is in it may be anything.
fn push(to: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("no document has more than 16 MB");
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(part);
}

/// The part that begins there, and where the next one does.
fn take(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    (&bytes[at + 4..at + 4 + length], at + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_back_in_the_order_of_their_places() {
        for last in [0, 1, 255, 256, 100_000] {
            let mut spill = Spill::new();
            for place in (0..=last).rev() {
                for item in [b"one", b"two"] {
                    spill.add_in_order((place, last), &place.to_be_bytes(), item).unwrap();
                }
            }
            let groups: Vec<Group> = spill.finish().groups().collect::<io::Result<_>>().unwrap();
            let places: Vec<Vec<u8>> = (0..=last).map(|place| place.to_be_bytes().to_vec()).collect();
            assert_eq!(groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>(), places);
            assert!(groups.iter().all(|group| group.items == [b"one", b"two"]));
        }
    }

    #[test]
    fn groups_come_back_whole_and_in_order_whether_or_not_they_were_written_out() {
        for repeats in [1_u32, 40_000] {
            let mut spill = Spill::new();
            for number in 0..repeats {
                for name in ["a", "b", ""] {
                    spill.add(name.as_bytes(), &number.to_le_bytes()).unwrap();
                }
                spill.add(&number.to_be_bytes(), b"alone").unwrap();
            }
            assert_eq!(spill.file.is_some(), repeats > 1);
            let spilled = spill.finish();
            for _ in 0..2 {
                let groups: Vec<Group> = spilled.groups().collect::<io::Result<_>>().unwrap();
                let (many, single): (Vec<_>, Vec<_>) =
                    groups.into_iter().partition(|group| group.items[0] != b"alone");
                assert_eq!(single.len(), repeats as usize);
                let mut names: Vec<_> = many.iter().map(|group| group.name.clone()).collect();
                names.sort();
                assert_eq!(names, [b"".to_vec(), b"a".to_vec(), b"b".to_vec()]);
                let wanted: Vec<_> = (0..repeats).map(|number| number.to_le_bytes().to_vec()).collect();
                assert!(many.iter().all(|group| group.items == wanted));
            }
        }
    }
}
