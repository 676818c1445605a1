//! Measurements, as lines for programs and as a table for people.

/// One number.
struct Measurement {
    metric: String,
    unit: String,
    value: f64,
}

/// What a part measured.
#[derive(Default)]
pub(crate) struct Report(Vec<Measurement>);

impl Report {
    /// One more number.
    pub(crate) fn with(mut self, metric: &str, unit: &str, value: f64) -> Self {
        self.0.push(Measurement { metric: metric.to_owned(), unit: unit.to_owned(), value });
        self
    }

    /// A line each, for programs.
    pub(crate) fn print(&self) {
        for Measurement { metric, unit, value } in &self.0 {
            println!("{metric}\t{unit}\t{value:.4}");
        }
    }

    /// Takes in what [`print`](Self::print) wrote.
    pub(crate) fn read(&mut self, lines: &str) {
        for line in lines.lines() {
            let mut fields = line.split('\t');
            let (Some(metric), Some(unit), Some(value)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let value = value.parse().expect("a number");
            self.0.push(Measurement { metric: metric.to_owned(), unit: unit.to_owned(), value });
        }
    }

    /// For people.
    pub(crate) fn print_table(&self) {
        println!("\n{:18} {:>14}  unit", "metric", "value");
        for Measurement { metric, unit, value } in &self.0 {
            println!("{metric:18} {value:14.3}  {unit}");
        }
    }
}
