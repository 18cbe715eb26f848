use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write as _;

fn gzip(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn decoder(max_text: u64) -> Decoder {
    Decoder::new(max_text, 16 << 20)
}

/// What an object holds: the trusted text, and what was lost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    text: String,
    members: usize,
    losses: Vec<Loss>,
}

fn read(object: &[u8], step: usize, mut decoder: Decoder) -> Content {
    let mut content = Content::default();
    let mut open = Vec::new();
    let pieces = object.chunks(step).map(Some).chain([None]);
    for piece in pieces {
        match piece {
            Some(piece) => decoder.push(piece),
            None => decoder.finish(),
        }
        while let Some(event) = decoder.next() {
            match event {
                Event::Unproven => {}
                Event::Start { .. } => assert!(open.is_empty(), "a segment within another"),
                Event::Text(text) => open.extend_from_slice(text),
                Event::Inflated(length) => {
                    open.extend_from_slice(decoder.text(length));
                    // Whoever takes the text may give any buffer in its place.
                    decoder.swap_text(&mut vec![0; length % 7]);
                }
                Event::Cut(loss) => {
                    content.text.push_str(std::str::from_utf8(&open).expect("UTF-8"));
                    open.clear();
                    content.losses.push(loss);
                }
                Event::End { plain } => {
                    content.text.push_str(std::str::from_utf8(&open).expect("UTF-8"));
                    content.members += usize::from(!plain);
                    open.clear();
                }
                Event::Spoilt { .. } => open.clear(),
                Event::Lost(loss) => content.losses.push(loss),
            }
        }
    }
    assert!(open.is_empty(), "text without an end");
    content
}

/// Reads in pieces of several sizes; all must agree.
fn content(object: &[u8]) -> Content {
    let whole = read(object, object.len().max(1), decoder(1 << 30));
    for step in [1, 2, 5, 64, 1000] {
        assert_eq!(read(object, step, decoder(1 << 30)), whole, "in pieces of {step}");
        let little_held = Decoder::new(1 << 30, 1);
        assert_eq!(read(object, step, little_held), whole, "with little held, in pieces of {step}");
    }
    whole
}

fn clean(text: &str, members: usize) -> Content {
    Content { text: text.to_owned(), members, losses: Vec::new() }
}

const A: &str = "{\"a\":1}\n";
const B: &str = "{\"b\":2}\n";

#[test]
fn any_sequence_of_members_and_plain_text_is_read() {
    let (a, b) = (gzip(A.as_bytes(), 6), gzip(B.as_bytes(), 0));
    assert_eq!(content(b""), clean("", 0));
    assert_eq!(content(&a), clean(A, 1));
    assert_eq!(content(&[&a[..], &b, &a].concat()), clean(&[A, B, A].concat(), 3));
    assert_eq!(content(&[&a[..], b"\n", &b, b"\r\n", &a, b"\n"].concat()), clean(&[A, B, A].concat(), 3));
    assert_eq!(content(&[&a[..], &[0; 512]].concat()), clean(A, 1));
    assert_eq!(content(A.as_bytes()), clean(A, 0));
    assert_eq!(content(&[&a[..], B.as_bytes(), &a].concat()), clean(&[A, B, A].concat(), 2));
    assert_eq!(content(&[B.as_bytes(), &a[..]].concat()), clean(&[B, A].concat(), 1));
    assert_eq!(content(&gzip(b"", 6)), clean("", 1));
    assert_eq!(content(b"\n\n"), clean("", 0));
}

#[test]
fn a_damaged_member_loses_only_itself() {
    let (a, b) = (gzip(A.as_bytes(), 6), gzip(B.as_bytes(), 0));
    for level in [0, 6] {
        let middle = gzip(&[A.as_bytes(), b"12345"].concat(), level);
        for at in 0..middle.len() {
            // XFL, OS and MTIME carry no meaning for us; any other byte does.
            if (4..10).contains(&at) {
                continue;
            }
            let mut damaged = middle.clone();
            damaged[at] ^= 0x15;
            let found = content(&[&a[..], &damaged, &b].concat());
            assert!(found.text.starts_with(A) && found.text.ends_with(B), "byte {at}: {found:?}");
            assert!(!found.losses.is_empty(), "byte {at} of level {level} went unnoticed");
        }
    }
}

#[test]
fn what_is_wrong_is_named_with_its_range() {
    let (a, b) = (gzip(A.as_bytes(), 6), gzip(B.as_bytes(), 6));
    let (start, end) = (a.len() as u64, (a.len() + b.len()) as u64);

    let mut wrong_crc = b.clone();
    let at = wrong_crc.len() - 8;
    wrong_crc[at] ^= 1;
    let found = content(&[&a[..], &wrong_crc, &a].concat());
    assert_eq!(found.text, [A, A].concat());
    let [Loss { from, to, fault: MemberFault::Checksum { .. } }] = found.losses[..] else { panic!("{found:?}") };
    assert_eq!((from, to), (start, end));

    // What was inflated before the cut is good.
    let cut = content(&[&a[..], &b[..b.len() - 5]].concat());
    assert_eq!(cut.text, [A, B].concat());
    assert_eq!(cut.losses, [Loss { from: start, to: end - 5, fault: MemberFault::Truncated }]);

    let junk = content(&[&a[..], b"what is this?", &b].concat());
    assert_eq!(junk.text, [A, B].concat());
    assert_eq!(junk.losses, [Loss { from: start, to: start + 13, fault: MemberFault::Junk }]);

    let nested = content(&gzip(&[&a[..], &b].concat(), 6));
    assert!(matches!(nested.losses[..], [Loss { from: 0, fault: MemberFault::Nested, .. }]), "{nested:?}");

    let foreign = content(b"PAR1 and so on");
    assert_eq!(foreign.losses, [Loss { from: 0, to: 14, fault: MemberFault::Foreign("a Parquet file") }]);
}

#[test]
fn a_member_cut_within_the_object_does_not_take_the_next_one_along() {
    let (a, b) = (gzip(A.repeat(50).as_bytes(), 6), gzip(B.as_bytes(), 6));
    let found = content(&[&a[..a.len() / 2], &b, &a].concat());
    assert_eq!(found.text, format!("{B}{}", A.repeat(50)));
    assert_eq!(found.losses.len(), 1);
}

#[test]
fn a_zstd_frame_is_read_like_a_member() {
    let frame = |text: &str| zstd::encode_all(text.as_bytes(), 3).expect("memory");
    let (a, b) = (frame(A), gzip(B.as_bytes(), 6));
    assert_eq!(content(&a), clean(A, 1));
    assert_eq!(content(&[&a[..], b"\n", &b, &a].concat()), clean(&[A, B, A].concat(), 3));
    let long = A.repeat(100_000);
    assert_eq!(content(&frame(&long)), clean(&long, 1));
    let cut = content(&[&b[..], &a[..a.len() - 5]].concat());
    assert!(matches!(cut.losses[..], [Loss { fault: MemberFault::Truncated, .. }]), "{cut:?}");
    let mut damaged = frame(&long);
    damaged[9] ^= 0xff;
    let found = content(&[&damaged[..], &b].concat());
    assert_eq!((found.text.as_str(), found.losses.len()), (B, 1));
}

#[test]
fn a_member_that_is_not_held_is_unproven_until_it_ends() {
    let text = A.repeat(50_000);
    let kinds = |object: &[u8]| {
        let mut decoder = Decoder::new(1 << 30, 1);
        decoder.push(object);
        decoder.finish();
        let mut kinds = Vec::new();
        while let Some(event) = decoder.next() {
            kinds.push(match event {
                Event::Unproven => "unproven",
                Event::End { .. } => "end",
                Event::Spoilt { unproven: true } => "spoilt",
                Event::Cut(_) => "cut",
                Event::Lost(_) => "lost",
                _ => continue,
            });
        }
        kinds
    };
    let good = gzip(text.as_bytes(), 6);
    assert_eq!(kinds(&good), ["unproven", "end"]);
    assert_eq!(kinds(&good[..good.len() - 20]), ["unproven", "cut"]);
    let mut wrong = good.clone();
    let at = wrong.len() - 8;
    wrong[at] ^= 1;
    assert_eq!(kinds(&wrong), ["unproven", "spoilt", "lost"]);
}

#[test]
fn a_bomb_is_stopped_and_what_came_before_is_kept() {
    let object = [gzip(A.as_bytes(), 6), gzip(&vec![b' '; 10_000_000], 9)].concat();
    let found = read(&object, 1000, decoder(1_000_000));
    assert_eq!(found.text, A);
    assert!(matches!(found.losses[..], [Loss { fault: MemberFault::TooLarge(1_000_000), .. }]));
}

#[test]
fn a_search_among_false_members_ends() {
    let object = [gzip(A.as_bytes(), 6), b"\x1f\x8b\x08\xff".repeat(100_000)].concat();
    let found = read(&object, 4096, decoder(1 << 30));
    assert_eq!(found.text, A);
    assert_eq!(found.losses.len(), 1);
}

#[test]
fn damage_in_a_member_longer_than_the_window_is_survived() {
    // Cut within its last stored block, it swallows some of the members behind it; the later ones are found again.
    let mut object = gzip(&vec![b'x'; 6 << 20], 0);
    object.truncate(object.len() - 100);
    for _ in 0..20 {
        object.extend(gzip(B.as_bytes(), 6));
    }
    let found = read(&object, 100_000, decoder(1 << 30));
    assert!(found.text.ends_with(B), "{found:?}");
}

proptest! {
    /// No bytes, however wrong, are read differently in pieces.
    #[test]
    fn damage_is_read_the_same_way_in_pieces(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0u32..10, 0u8..4), 0..6),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut object = Vec::new();
        for (bytes, level, kind) in parts {
            let text: Vec<u8> = bytes.iter().map(|byte| b'0' + byte % 10).collect();
            match kind {
                0 => object.extend(bytes),
                1 => object.extend(b"\n{\"plain\":1}\n"),
                _ => object.extend(gzip(&text, level)),
            }
        }
        if !object.is_empty() {
            for (at, byte) in flips {
                let at = at.index(object.len());
                object[at] = byte;
            }
        }
        let collect = |step: usize, decoder: Decoder| lossy(&object, step, decoder);
        let (text, losses) = collect(object.len().max(1), decoder(1 << 20));
        for step in [1, 3, 50] {
            let (pieces, in_pieces) = collect(step, decoder(1 << 20));
            prop_assert_eq!(&pieces, &text);
            prop_assert_eq!(&in_pieces, &losses);
        }
    }
}

fn lossy(object: &[u8], step: usize, mut decoder: Decoder) -> (Vec<u8>, Vec<Loss>) {
    let (mut text, mut open, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for piece in object.chunks(step).map(Some).chain([None]) {
        match piece {
            Some(piece) => decoder.push(piece),
            None => decoder.finish(),
        }
        while let Some(event) = decoder.next() {
            match event {
                Event::Start { .. } | Event::Unproven => {}
                Event::Text(bytes) => open.extend_from_slice(bytes),
                Event::Inflated(length) => open.extend_from_slice(decoder.text(length)),
                Event::Cut(loss) => {
                    text.append(&mut open);
                    losses.push(loss);
                }
                Event::End { .. } => text.append(&mut open),
                Event::Spoilt { .. } => open.clear(),
                Event::Lost(loss) => losses.push(loss),
            }
        }
    }
    (text, losses)
}
