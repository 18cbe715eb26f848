use super::*;
use proptest::prelude::*;

fn iterator() -> ShardIterator {
    ShardIterator { stream: "orders".to_owned(), stream_created: 1, shard: 2, cursor: 3 }
}

#[test]
fn a_token_lives_for_five_minutes() {
    let token = seal("iterator", iterator(), 1_000);
    assert_eq!(open("iterator", &token, 1_000), Ok(iterator()));
    assert_eq!(open("iterator", &token, 301_000), Ok(iterator()));
    assert_eq!(open::<ShardIterator>("iterator", &token, 301_001), Err(Refused::Expired(1_000)));
}

#[test]
fn a_token_serves_one_purpose() {
    let token = seal("shards", iterator(), 0);
    assert_eq!(open::<ShardIterator>("iterator", &token, 0), Err(Refused::Foreign));
}

proptest! {
    #[test]
    fn any_iterator_survives_its_token(stream in "[a-zA-Z0-9_.-]{1,128}", created: u64, shard: u32, cursor: u64, now: u64) {
        let iterator = ShardIterator { stream, stream_created: created, shard, cursor };
        prop_assert_eq!(open("iterator", &seal("iterator", &iterator, now), now), Ok(iterator));
    }

    #[test]
    fn a_changed_token_is_refused(position in 0usize..100, with in "[A-Za-z0-9+/=]") {
        let mut token = seal("iterator", iterator(), 0);
        let position = position % token.len();
        let before = token.clone();
        token.replace_range(position..=position, &with);
        prop_assume!(token != before);
        prop_assert_eq!(open::<ShardIterator>("iterator", &token, 0), Err(Refused::Foreign));
    }

    #[test]
    fn other_text_is_refused(text in ".{0,200}") {
        prop_assert_eq!(open::<ShardIterator>("iterator", &text, 0), Err(Refused::Foreign));
    }
}
