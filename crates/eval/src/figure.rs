//! A number of a benchmark's result: exact where it is a ratio, and never without what it is over.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::item::Scored;

/// One number of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Which set of figures it belongs to, such as `official` or `r1_reward`; figures of one section stand together.
    pub section: Cow<'static, str>,
    /// Name, such as `Overall` or a category.
    pub name: String,
    /// The value; absent without any item. A ratio is from 0 to 1; Kendall's tau-b goes down to −1, and means with the Ties score of
    /// RewardBench 2 can leave that range, too.
    pub value: Option<f64>,
    /// The numerator where the value is a ratio. Shared ties make it fractional.
    pub num_right: Option<f64>,
    /// Items that the value is over: the denominator of a ratio, the number of all items behind a mean of ratios.
    pub num_total: u64,
    /// Pairs with equal rewards among them. They count as wrong unless the official metric says otherwise.
    pub num_ties: u64,
    /// 95 % interval, once it has been measured.
    pub interval: Option<(f64, f64)>,
}

impl Figure {
    /// `num_right` of `num_total`.
    pub fn ratio(
        section: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
        num_right: f64,
        num_total: u64,
        num_ties: u64,
    ) -> Self {
        Self {
            section: section.into(),
            name: name.into(),
            value: (num_total > 0).then(|| num_right / num_total as f64),
            num_right: Some(num_right),
            num_total,
            num_ties,
            interval: None,
        }
    }

    /// Part of the rows in which every better response has the strictly higher reward than every worse one.
    pub fn accuracy<'a>(
        section: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
        rows: impl IntoIterator<Item = &'a Scored>,
    ) -> Self {
        let (mut num_right, mut num_total, mut num_ties) = (0u64, 0, 0);
        for row in rows {
            num_right += u64::from(row.is_right());
            num_ties += u64::from(row.is_tie());
            num_total += 1;
        }
        Self::ratio(section, name, num_right as f64, num_total, num_ties)
    }

    /// A value that is no ratio of counts, such as a mean of accuracies.
    pub fn derived(
        section: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
        value: Option<f64>,
        num_total: u64,
    ) -> Self {
        let (section, name) = (section.into(), name.into());
        Self { section, name, value, num_right: None, num_total, num_ties: 0, interval: None }
    }
}

/// Plain mean; `None` when there is no number or one of them is absent.
pub fn mean(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
