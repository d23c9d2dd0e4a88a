"""What a run found, for people: tables, figures, a one-file HTML report, a model card."""

from crossmodal_jax.reporting._data import ReportData as ReportData
from crossmodal_jax.reporting._data import installed_versions as installed_versions
from crossmodal_jax.reporting._html import render_report as render_report
from crossmodal_jax.reporting._model_card import render_model_card as render_model_card
from crossmodal_jax.reporting._table import Cell as Cell
from crossmodal_jax.reporting._table import ResultRow as ResultRow
from crossmodal_jax.reporting._table import ResultTable as ResultTable
from crossmodal_jax.reporting._table import headline as headline
from crossmodal_jax.reporting._table import result_table as result_table
from crossmodal_jax.reporting._text import plain_table as plain_table
from crossmodal_jax.reporting._text import rich_table as rich_table
from crossmodal_jax.reporting._write import WriteError as WriteError
from crossmodal_jax.reporting._write import write_atomic as write_atomic
