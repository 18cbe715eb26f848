//! A column as a list, outer ones before inner ones: JSON of columns within each other would be nested more deeply than
//! JSON parsers go.

use super::column::Column;
use crate::types::Type;
use serde::{Deserialize, Serialize};

/// Columns within each other, at most: more than any settings give.
const MAX_DEPTH: usize = 600;

/// A column without those within it, which follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Node {
    Null,
    Bool,
    Int { wide: bool },
    Double,
    Time { digits: u8 },
    Text,
    Mixed,
    Struct(Vec<Box<str>>),
    List,
    Fixed(Type),
}

impl From<Column> for Vec<Node> {
    fn from(column: Column) -> Self {
        let mut nodes = Self::new();
        push(column, &mut nodes);
        nodes
    }
}

fn push(column: Column, nodes: &mut Vec<Node>) {
    match column {
        Column::Null => nodes.push(Node::Null),
        Column::Bool => nodes.push(Node::Bool),
        Column::Int { wide } => nodes.push(Node::Int { wide }),
        Column::Double => nodes.push(Node::Double),
        Column::Time { digits } => nodes.push(Node::Time { digits }),
        Column::Text => nodes.push(Node::Text),
        Column::Mixed => nodes.push(Node::Mixed),
        Column::Fixed(kind) => nodes.push(Node::Fixed(*kind)),
        Column::List(items) => {
            nodes.push(Node::List);
            push(*items, nodes);
        }
        Column::Struct(fields) => {
            nodes.push(Node::Struct(fields.iter().map(|(name, _)| name.clone()).collect()));
            fields.into_iter().for_each(|(_, column)| push(column, nodes));
        }
    }
}

impl TryFrom<Vec<Node>> for Column {
    type Error = &'static str;

    fn try_from(nodes: Vec<Node>) -> Result<Self, Self::Error> {
        let mut nodes = nodes.into_iter();
        let column = pull(&mut nodes, 0)?;
        if nodes.next().is_some() { Err("more than a column") } else { Ok(column) }
    }
}

fn pull(nodes: &mut impl Iterator<Item = Node>, depth: usize) -> Result<Column, &'static str> {
    if depth > MAX_DEPTH {
        return Err("too many columns within each other");
    }
    Ok(match nodes.next().ok_or("a column is missing")? {
        Node::Null => Column::Null,
        Node::Bool => Column::Bool,
        Node::Int { wide } => Column::Int { wide },
        Node::Double => Column::Double,
        Node::Time { digits } => Column::Time { digits },
        Node::Text => Column::Text,
        Node::Mixed => Column::Mixed,
        Node::Fixed(kind) => Column::Fixed(Box::new(kind)),
        Node::List => Column::List(Box::new(pull(nodes, depth + 1)?)),
        Node::Struct(names) => {
            let fields = names.into_iter().map(|name| Ok((name, pull(nodes, depth + 1)?)));
            Column::Struct(fields.collect::<Result<_, &'static str>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_back_however_deep() {
        let fields = [
            ("a", Column::Null),
            ("b", Column::Int { wide: true }),
            ("c", Column::List(Box::new(Column::Struct(Vec::new())))),
            ("d", Column::Fixed(Box::new(Type::Decimal { precision: 9, scale: 2 }))),
            ("e", Column::Time { digits: 3 }),
        ];
        let mut column = Column::Struct(fields.into_iter().map(|(name, column)| (name.into(), column)).collect());
        for _ in 0..200 {
            column = Column::Struct(vec![("x".into(), Column::List(Box::new(column)))]);
        }
        let text = serde_json::to_string(&column).expect("JSON");
        assert_eq!(serde_json::from_str::<Column>(&text).expect("a column"), column);
        for bad in [r#"["list"]"#, r#"["null","null"]"#, r#"[{"struct":["a"]}]"#, "[]"] {
            assert!(serde_json::from_str::<Column>(bad).is_err(), "{bad}");
        }
    }
}
