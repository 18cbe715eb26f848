//! What a request names, for those who choose requests by it.

use super::{Kinesis, arn, ops, token, wire};
use crate::fault::Names;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Named {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
    consumer_name: Option<String>,
    shard_id: Option<String>,
    shard_to_split: Option<String>,
    shard_to_merge: Option<String>,
    shard_iterator: Option<String>,
}

impl Kinesis {
    /// What the JSON request `body` names; an iterator that is not ours names nothing.
    pub(crate) fn names(&self, body: &[u8]) -> Names {
        let named: Named = serde_json::from_slice(body).unwrap_or_default();
        let iterator = named.shard_iterator.as_deref();
        let iterator: Option<token::ShardIterator> =
            iterator.and_then(|iterator| token::open(ops::ITERATOR, iterator, self.now()).ok());
        let arn = named.consumer_arn.as_deref().or(named.stream_arn.as_deref());
        let of_arn = |arn| arn::stream_name(arn).or_else(|| arn::consumers_stream_name(arn));
        let stream = named.stream_name.or_else(|| arn.and_then(of_arn).map(str::to_owned));
        let consumer = named.consumer_arn.as_deref().and_then(arn::consumer_name).map(str::to_owned);
        let shard = named.shard_id.or(named.shard_to_split).or(named.shard_to_merge);
        Names {
            stream: stream.or_else(|| iterator.as_ref().map(|iterator| iterator.stream.clone())),
            shard: shard.or_else(|| iterator.map(|iterator| wire::shard_id(iterator.shard))),
            consumer: named.consumer_name.or(consumer),
            ..Names::default()
        }
    }
}
