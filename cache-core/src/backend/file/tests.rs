//! A journal in a folder: what comes back after every kind of end.

use std::fs;
use std::sync::Mutex;

use tempfile::TempDir;

use super::writer::Tail;
use super::*;
use crate::time::StoreTime;

async fn append(journal: &FileJournal, key: &str, value: &str) -> Result<u64, JournalError> {
    journal.append(key, Bytes::copy_from_slice(value.as_bytes())).await.map(sequence)
}

async fn values(journal: &FileJournal, after: u64) -> Vec<(u64, String)> {
    let records = journal.read(Position(after.into()), 10_000).await.unwrap();
    let text = |record: &Record| String::from_utf8(record.payload.to_vec()).unwrap();
    records.iter().map(|record| (sequence(record.position), text(record))).collect()
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<(u64, String)> {
    range.map(|number| (number, number.to_string())).collect()
}

async fn filled(folder: &TempDir, count: u64) -> FileJournal {
    let journal = FileJournal::builder(folder.path()).segment_bytes(200).open().await.unwrap();
    for number in 1..=count {
        assert_eq!(append(&journal, "user:1", &number.to_string()).await.unwrap(), number);
    }
    journal
}

fn files(folder: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some());
    files.sort();
    files
}

#[tokio::test]
async fn what_was_acknowledged_is_read_in_order_over_many_files_and_after_reopening() {
    let folder = TempDir::new().unwrap();
    let journal = filled(&folder, 20).await;
    assert!(files(&folder).len() > 3);
    assert_eq!(values(&journal, 0).await, numbers(1..=20));
    assert_eq!(values(&journal, 13).await, numbers(14..=20));
    assert_eq!(values(&journal, 20).await, []);
    let id = journal.id();
    journal.close().await;
    let journal = FileJournal::open(folder.path()).await.unwrap();
    assert_eq!((journal.id(), journal.depth().await.unwrap().records), (id, 20));
    assert_eq!(append(&journal, "user:1", "21").await.unwrap(), 21);
    assert_eq!(values(&journal, 0).await, numbers(1..=21));
}

#[tokio::test]
async fn reads_go_on_where_the_last_one_ended_and_anywhere_else() {
    let folder = TempDir::new().unwrap();
    let journal = filled(&folder, 20).await;
    for at in [0, 3, 6, 2, 19] {
        let records = journal.read(Position(at.into()), 3).await.unwrap();
        let expected: Vec<_> = (at + 1..=20).take(3).collect();
        assert_eq!(records.iter().map(|record| sequence(record.position)).collect::<Vec<_>>(), expected);
    }
}

/// Else the database could be told of a record that the sudden end of the host takes from the journal, and the next ones, in its
/// place, would pass for applied.
#[tokio::test]
async fn what_is_not_synced_is_not_read() {
    let folder = TempDir::new().unwrap();
    let rarely = Fsync::Interval(Duration::from_secs(3_600));
    let journal = FileJournal::builder(folder.path()).fsync(rarely).open().await.unwrap();
    append(&journal, "k", "1").await.unwrap();
    assert_eq!(values(&journal, 0).await, []);
    journal.close().await;
    let often = Fsync::Interval(Duration::from_millis(1));
    let journal = FileJournal::builder(folder.path()).fsync(often).open().await.unwrap();
    append(&journal, "k", "2").await.unwrap();
    journal.grown(Position(1)).await;
    assert_eq!(values(&journal, 0).await, numbers(1..=2));
}

#[tokio::test]
async fn records_carry_key_and_time() {
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::open(folder.path()).await.unwrap();
    append(&journal, "a:%3A b\u{e4}", "").await.unwrap();
    let records = journal.read(Position(0), 1).await.unwrap();
    assert_eq!((records[0].key.as_str(), records[0].payload.len()), ("a:%3A b\u{e4}", 0));
    assert!(records[0].at > StoreTime(1_700_000_000_000), "it is some time after 2023");
}

#[tokio::test]
async fn files_are_deleted_once_all_they_hold_is_applied() {
    let folder = TempDir::new().unwrap();
    let journal = filled(&folder, 20).await;
    let before = files(&folder).len();
    journal.trim(Position(1)).await.unwrap();
    assert_eq!(files(&folder).len(), before, "a file with one record that waits stays");
    journal.trim(Position(19)).await.unwrap();
    assert_eq!(files(&folder).len(), 1);
    assert_eq!(journal.depth().await.unwrap().records, 1);
    assert_eq!(values(&journal, 19).await, numbers(20..=20));
    journal.trim(Position(20)).await.unwrap();
    assert_eq!(journal.depth().await.unwrap(), Depth::default());
    journal.close().await;
    let journal = FileJournal::open(folder.path()).await.unwrap();
    assert_eq!(append(&journal, "k", "21").await.unwrap(), 21, "positions never begin anew");
}

#[tokio::test]
async fn an_append_that_was_cut_short_anywhere_is_cut_off_and_the_rest_is_there() {
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::open(folder.path()).await.unwrap();
    for number in 1..=3 {
        append(&journal, "user:1", &number.to_string()).await.unwrap();
    }
    journal.close().await;
    let file = files(&folder).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let record = (whole.len() as u64 - HEADER) / 3;
    for cut in 1..record {
        fs::write(&file, &whole[..whole.len() - usize::try_from(cut).unwrap()]).unwrap();
        let journal = FileJournal::open(folder.path()).await.unwrap();
        assert_eq!(values(&journal, 0).await, numbers(1..=2), "{cut} bytes less");
        assert_eq!(append(&journal, "user:1", "3").await.unwrap(), 3);
        journal.close().await;
        assert_eq!(fs::metadata(&file).unwrap().len(), whole.len() as u64);
    }
}

#[tokio::test]
async fn a_file_that_was_just_begun_is_begun_again() {
    let folder = TempDir::new().unwrap();
    filled(&folder, 20).await.close().await;
    for length in 0..HEADER {
        fs::write(folder::path(folder.path(), 21), vec![0; usize::try_from(length).unwrap()]).unwrap();
        let journal = FileJournal::open(folder.path()).await.unwrap();
        assert_eq!(values(&journal, 0).await, numbers(1..=20));
        journal.close().await;
    }
}

#[tokio::test]
async fn damage_before_whole_records_is_an_error_that_touches_nothing() {
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::open(folder.path()).await.unwrap();
    for number in 1..=3 {
        append(&journal, "user:1", &number.to_string()).await.unwrap();
    }
    journal.close().await;
    let file = files(&folder).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[HEADER as usize + 20] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let error = FileJournal::open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::Damaged);
    assert!(error.to_string().contains("byte 40") && error.to_string().contains("restore it"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[tokio::test]
async fn damage_in_an_earlier_file_is_told_when_it_is_read() {
    let folder = TempDir::new().unwrap();
    filled(&folder, 20).await.close().await;
    // What it has appended itself it need not read.
    let journal = FileJournal::open(folder.path()).await.unwrap();
    let file = &files(&folder)[1];
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, &bytes).unwrap();
    assert_eq!(journal.read(Position(0), 100).await.unwrap_err().kind(), JournalErrorKind::Damaged);
    bytes.truncate(bytes.len() - 3);
    fs::write(file, &bytes).unwrap();
    assert_eq!(journal.read(Position(0), 100).await.unwrap_err().kind(), JournalErrorKind::Damaged);
    bytes.truncate(HEADER as usize);
    fs::write(file, &bytes).unwrap();
    assert_eq!(
        journal.read(Position(0), 100).await.unwrap_err().kind(),
        JournalErrorKind::Damaged,
        "all of it"
    );
}

#[tokio::test]
async fn who_follows_closely_reads_from_memory_and_who_does_not_from_the_disk() {
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::open(folder.path()).await.unwrap();
    let long = "x".repeat(100_000);
    for number in 1..=30 {
        append(&journal, &format!("user:{number}"), &long).await.unwrap();
    }
    let numbers = async |after, limit| {
        let records = journal.read(Position(after), limit).await.unwrap();
        records.iter().map(|record| record.position.0).collect::<Vec<_>>()
    };
    let file = files(&folder).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..HEADER as usize]).unwrap();
    assert_eq!(numbers(25, 3).await, [26, 27, 28], "the last megabyte is in memory");
    assert_eq!(numbers(29, 3).await, [30]);
    assert_eq!(numbers(30, 3).await, [0; 0]);
    assert_eq!(
        journal.read(Position(0), 3).await.unwrap_err().kind(),
        JournalErrorKind::Damaged,
        "no more than that"
    );
    fs::write(&file, &bytes).unwrap();
    assert_eq!(numbers(0, 100).await, (1..=30).collect::<Vec<_>>());
    journal.trim(Position(27)).await.unwrap();
    assert_eq!(numbers(27, 100).await, [28, 29, 30], "what is trimmed is not counted as kept");
}

#[tokio::test]
async fn a_process_leaves_the_next_one_little_to_read() {
    let folder = TempDir::new().unwrap();
    let text = "x".repeat(1_000);
    for number in 1..=500 {
        let journal = FileJournal::open(folder.path()).await.unwrap();
        assert_eq!(append(&journal, "user:1", &text).await.unwrap(), number);
        // The last one is still to be applied.
        journal.trim(Position(u128::from(number) - 1)).await.unwrap();
        journal.close().await;
    }
    let sizes: Vec<_> = files(&folder).iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    assert!(sizes.len() <= 2 && sizes.iter().sum::<u64>() < 70_000, "{sizes:?}");
    let journal = FileJournal::open(folder.path()).await.unwrap();
    assert_eq!(values(&journal, 499).await, [(500, text)]);
}

#[tokio::test]
async fn a_folder_has_one_journal_at_a_time() {
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::open(folder.path()).await.unwrap();
    let error = FileJournal::open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::Locked);
    assert!(error.to_string().contains("a folder of its own"), "{error}");
    journal.close().await;
    FileJournal::open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn files_of_two_journals_are_not_taken_for_one() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    filled(&one, 20).await.close().await;
    filled(&other, 20).await.close().await;
    let second = files(&other)[1].clone();
    fs::copy(&second, one.path().join(second.file_name().unwrap())).unwrap();
    assert_eq!(FileJournal::open(one.path()).await.unwrap_err().kind(), JournalErrorKind::Damaged);
}

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FileJournal::open(file.join("below")).await.unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::Refused);
    assert!(error.to_string().contains("cannot hold a journal: it cannot be made"), "{error}");
    for builder in [
        FileJournal::builder(folder.path()).limit_bytes(0),
        FileJournal::builder(folder.path()).limit_records(0),
        FileJournal::builder(folder.path()).segment_bytes(0),
        FileJournal::builder(folder.path()).fsync(Fsync::Interval(Duration::ZERO)),
    ] {
        assert_eq!(builder.open().await.unwrap_err().kind(), JournalErrorKind::Refused);
    }
}

#[tokio::test]
async fn a_full_journal_refuses_and_takes_writes_again_once_some_are_applied() {
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::builder(folder.path()).limit_records(3).open().await.unwrap();
    for number in 1..=3 {
        append(&journal, "k", &number.to_string()).await.unwrap();
    }
    let error = append(&journal, "k", "4").await.unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::Full);
    assert!(error.to_string().contains("3 records that wait for the database"), "{error}");
    journal.trim(Position(1)).await.unwrap();
    assert_eq!(append(&journal, "k", "4").await.unwrap(), 4);

    let folder = TempDir::new().unwrap();
    let journal = FileJournal::builder(folder.path()).limit_bytes(2_000).open().await.unwrap();
    let mut taken = 0;
    while append(&journal, "k", &"x".repeat(100)).await.is_ok() {
        taken += 1;
    }
    assert!((10..20).contains(&taken), "{taken}");
    journal.trim(Position(taken)).await.unwrap();
    append(&journal, "k", "y").await.unwrap();
}

#[tokio::test]
async fn a_write_that_is_too_long_is_refused_alone() {
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::open(folder.path()).await.unwrap();
    let long = Bytes::from(vec![0; segment::LONGEST]);
    assert_eq!(journal.append("k", long).await.unwrap_err().kind(), JournalErrorKind::Failed);
    assert_eq!(append(&journal, "k", "1").await.unwrap(), 1);
}

#[tokio::test]
async fn whoever_waits_is_woken_by_the_next_record() {
    let folder = TempDir::new().unwrap();
    let journal = filled(&folder, 2).await;
    journal.grown(Position(1)).await;
    let (_, position) = tokio::join!(journal.grown(Position(2)), append(&journal, "k", "3"));
    assert_eq!(position.unwrap(), 3);
}

#[tokio::test]
async fn writes_that_come_together_are_all_there_each_once() {
    let folder = TempDir::new().unwrap();
    let journal = Arc::new(FileJournal::builder(folder.path()).segment_bytes(4_000).open().await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..10 {
        let journal = journal.clone();
        tasks.spawn(async move {
            let mut last = 0;
            for number in 0..50 {
                let position = append(&journal, "k", &format!("{task}:{number}")).await.unwrap();
                assert!(position > last, "one after the other");
                last = position;
            }
        });
    }
    tasks.join_all().await;
    let found = values(&journal, 0).await;
    for task in 0..10 {
        let own = found.iter().filter_map(|(_, value)| value.strip_prefix(&format!("{task}:")));
        assert_eq!(own.collect::<Vec<_>>(), (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(found.len(), 500);
}

/// A disk that does as it is told.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    bytes: Vec<u8>,
    is_full: bool,
    fails_to_sync: bool,
    fails_to_cut: bool,
}

impl Tail for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let room = if disk.is_full { bytes.len() / 2 } else { bytes.len() };
        disk.bytes.extend_from_slice(&bytes[..room]);
        if disk.is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.0.lock().unwrap().fails_to_sync { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.fails_to_cut {
            return Err(io::ErrorKind::Other.into());
        }
        disk.bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

/// A writer over a scripted disk, and how to hand it a write.
fn scripted(fsync: Fsync) -> (Disk, Writer) {
    let disk = Disk::default();
    let id = JournalId(1);
    disk.0.lock().unwrap().bytes = segment::Header { id, first: 1 }.encode();
    let limits = Limits { segment_bytes: 1 << 20, records: 100, bytes: 1 << 20 };
    let segments = [state::Segment { first: 1, bytes: HEADER }].into();
    let shared = Arc::new(Shared::new(PathBuf::from("scripted"), id, limits, segments, 1));
    let writer = Writer {
        shared,
        clock: Box::new(SystemClock::default()),
        fsync,
        tail: Box::new(disk.clone()),
        create: Box::new(|_| Err(io::ErrorKind::Other.into())),
        length: HEADER,
        is_dirty: false,
        broken: None,
    };
    (disk, writer)
}

fn write(writer: &mut Writer, value: &'static str) -> Result<Position, JournalErrorKind> {
    let (answer, mut answered) = oneshot::channel();
    writer.write(vec![Append { key: "k".into(), payload: Bytes::from_static(value.as_bytes()), answer }]);
    answered.try_recv().expect("everybody is answered").map_err(|error| error.kind())
}

#[test]
fn a_full_disk_takes_nothing_back_that_was_acknowledged_and_leaves_no_part_behind() {
    let (disk, mut writer) = scripted(Fsync::Always);
    assert_eq!(write(&mut writer, "one"), Ok(Position(1)));
    let whole = disk.0.lock().unwrap().bytes.clone();
    disk.0.lock().unwrap().is_full = true;
    assert_eq!(write(&mut writer, "two"), Err(JournalErrorKind::Failed));
    assert_eq!(disk.0.lock().unwrap().bytes, whole);
    disk.0.lock().unwrap().is_full = false;
    assert_eq!(write(&mut writer, "two"), Ok(Position(2)), "with room again it goes on");
}

#[test]
fn what_could_not_be_taken_back_is_unknown_and_nothing_follows_it() {
    let (disk, mut writer) = scripted(Fsync::Always);
    (disk.0.lock().unwrap().is_full, disk.0.lock().unwrap().fails_to_cut) = (true, true);
    assert_eq!(write(&mut writer, "one"), Err(JournalErrorKind::Unknown));
    *disk.0.lock().unwrap() = Script::default();
    assert_eq!(write(&mut writer, "two"), Err(JournalErrorKind::Failed));
}

#[test]
fn after_a_sync_that_failed_nothing_is_acknowledged_any_more() {
    for fsync in [Fsync::Always, Fsync::Interval(Duration::from_nanos(1))] {
        let (disk, mut writer) = scripted(fsync);
        disk.0.lock().unwrap().fails_to_sync = true;
        let (appends, incoming) = mpsc::channel();
        let send = |value: &'static str| {
            let (answer, answered) = oneshot::channel();
            appends
                .send(Append { key: "k".into(), payload: Bytes::from_static(value.as_bytes()), answer })
                .unwrap();
            answered
        };
        let first = send("one");
        let shared = writer.shared.clone();
        writer.length = HEADER;
        let thread = std::thread::spawn(move || writer.run(&incoming));
        let first = first.blocking_recv().unwrap().map_err(|error| error.kind());
        let expected = if fsync == Fsync::Always { Err(JournalErrorKind::Unknown) } else { Ok(Position(1)) };
        assert_eq!(first, expected);
        // In the background the sync comes a moment after the answer.
        let mut refused = None;
        while refused.is_none() {
            refused = send("two").blocking_recv().unwrap().err().map(|error| error.kind());
        }
        assert_eq!(refused, Some(JournalErrorKind::Failed));
        let shown = shared.next() - 1;
        assert_eq!(shown == 0, fsync == Fsync::Always, "what was not acknowledged is not read");
        drop(appends);
        thread.join().unwrap();
    }
}
