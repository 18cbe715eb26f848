//! What a plan says about its files, beside its inputs: with both, every byte of every file is given, on whatever
//! machine and in however many shares they are made.

use crate::columns::Bounds;
use crate::field_path::FieldPath;
use crate::partition::PartitionBy;
use crate::settings::{Mismatch, Settings};
use crate::sort_by::SortBy;
use crate::types::FixedSchema;
use serde::{Deserialize, Serialize};

/// The part of [`Settings`] on which the files depend. Bounds that follow from the planner's memory and threads are
/// written down as they were there: a machine with less memory that runs the plan needs more than its own bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub(crate) target_file_bytes: usize,
    pub(crate) row_group_rows: usize,
    /// Encoded bytes of a row group.
    pub(crate) group_bytes: usize,
    /// Row groups of fewer bytes are put together with their neighbours.
    pub(crate) small_bytes: usize,
    /// Bytes of the objects that are read after each other, at least.
    pub(crate) unit_bytes: u64,
    /// Decompressed bytes of a gzip member that wait until its checksum is known.
    pub(crate) held_bytes: usize,
    /// Bytes of columns in memory that are sorted at once.
    pub(crate) sort_bytes: usize,
    pub(crate) zstd_level: i32,
    pub(crate) timestamps: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<FixedSchema>,
    pub(crate) mismatch: Mismatch,
    #[serde(with = "texts")]
    pub(crate) partition_by: Vec<PartitionBy>,
    pub(crate) write_partition_columns: bool,
    #[serde(with = "texts")]
    pub(crate) sort: Vec<SortBy>,
    #[serde(with = "texts")]
    pub(crate) bloom: Vec<FieldPath>,
    pub(crate) byte_stream_split: bool,
    #[serde(default, with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub(crate) dedupe: Vec<FieldPath>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dedupe_members: bool,
    pub(crate) max_row_bytes: usize,
    pub(crate) max_depth: usize,
    pub(crate) max_columns: usize,
    pub(crate) max_object_bytes: u64,
}

impl Recipe {
    /// What `settings` say of the files.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            target_file_bytes: settings.target_file_bytes,
            row_group_rows: settings.row_group_rows,
            group_bytes: settings.group_bytes(),
            small_bytes: settings.row_group_bytes / 256,
            unit_bytes: settings.unit_bytes,
            held_bytes: settings.held_bytes(),
            sort_bytes: settings.sort_bytes(),
            zstd_level: settings.zstd_level,
            timestamps: settings.timestamps,
            schema: settings.schema.clone(),
            mismatch: settings.mismatch,
            partition_by: settings.partition_by.clone(),
            write_partition_columns: settings.write_partition_columns,
            sort: settings.sort.clone(),
            bloom: settings.bloom.clone(),
            byte_stream_split: settings.byte_stream_split,
            dedupe: settings.dedupe.clone(),
            dedupe_members: settings.dedupe_members,
            max_row_bytes: settings.max_row_bytes,
            max_depth: settings.max_depth,
            max_columns: settings.max_columns,
            max_object_bytes: settings.max_object_bytes,
        }
    }

    /// The bounds of the schema. 64 structs and lists within each other are far from where Parquet's 16-bit levels end,
    /// and the parquet crate reads them back.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { max_columns: self.max_columns, max_nesting: 64 }
    }
}

/// Values as they are typed on the command line.
mod texts {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_reads_back() {
        let at = |text: &str| text.parse().expect("a location");
        let mut settings = Settings::new(at("/raw"), at("/parquet"));
        settings.partition_by = vec!["site".parse().expect("a field"), r"a\:b:day".parse().expect("a field")];
        settings.sort = vec!["user.id:desc".parse().expect("an order")];
        settings.bloom = vec![r"x\.y".parse().expect("a field")];
        settings.schema = Some(FixedSchema::parse("a bigint, b struct<c:decimal(9,2)>").expect("a schema"));
        settings.mismatch = Mismatch::Quarantine;
        settings.dedupe = vec!["_shard".parse().expect("a field")];
        settings.dedupe_members = true;
        let recipe = Recipe::of(&settings);
        let text = serde_json::to_string(&recipe).expect("JSON");
        assert_eq!(serde_json::from_str::<Recipe>(&text).expect("a recipe"), recipe);
    }
}
