//! Figures as a table for people and as JSON for machines.

use crate::Result;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::path::Path;

/// Named rows of figures.
#[derive(Debug)]
pub struct Table {
    title: String,
    columns: &'static [&'static str],
    rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    /// A table without rows. Columns are named with their units.
    pub fn new(title: impl Into<String>, columns: &'static [&'static str]) -> Self {
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row; NaN is a figure that there is not.
    pub fn row(&mut self, name: impl Into<String>, figures: impl Into<Vec<f64>>) {
        self.rows.push((name.into(), figures.into()));
    }

    /// Prints the table to stdout.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn print(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let first = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(8);
        writeln!(out, "\n{}", self.title)?;
        write!(out, "  {:<first$}", "")?;
        for column in self.columns {
            write!(out, "  {column:>9}")?;
        }
        writeln!(out)?;
        for (name, figures) in &self.rows {
            write!(out, "  {name:<first$}")?;
            for (figure, column) in figures.iter().zip(self.columns) {
                let (width, digits) = (column.len().max(9), if figure.abs() < 10.0 { 2 } else { 0 });
                let text = if figure.is_nan() { "-".to_owned() } else { format!("{figure:.digits$}") };
                write!(out, "  {text:>width$}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// The table as an object: its rows by name, their figures by column.
    pub fn json(&self) -> Value {
        let row = |(name, figures): &(String, Vec<f64>)| {
            let figures: Map<_, _> = self
                .columns
                .iter()
                .zip(figures)
                .map(|(column, figure)| ((*column).to_owned(), json!(figure)))
                .collect();
            (name.clone(), Value::Object(figures))
        };
        json!({"title": self.title, "rows": Value::Object(self.rows.iter().map(row).collect())})
    }
}

/// Writes a result to `target/bench/<name>.json`.
///
/// # Errors
/// When the file cannot be written.
pub fn save(name: &str, result: &Value) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{name}.json")), result.to_string())?;
    Ok(())
}
