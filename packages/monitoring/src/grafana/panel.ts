import {
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  VizLegendOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import type { Panel } from '../dashboards/dashboard.ts'
import { DATASOURCE } from './datasource.ts'

const HEIGHT = 8
const NUMBER_HEIGHT = 4
const WIDTH = 8

/** The builder of one panel, with everything but its place, which Grafana's builder finds. */
export function panelBuilder(panel: Panel, id: number) {
  const { title, description, unit, width = WIDTH } = panel
  const builder = styledBuilder(panel.kind)
    .id(id)
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(DATASOURCE)
    .span(width)
    .height(panel.kind === 'number' ? NUMBER_HEIGHT : HEIGHT)
  for (const [index] of panel.targets.entries()) builder.withTarget(query(panel, index))
  return builder
}

function styledBuilder(kind: Panel['kind']) {
  if (kind === 'number') return new StatBuilder()
  if (kind === 'table') return new TableBuilder()
  const legend = new VizLegendOptionsBuilder()
    .displayMode(LegendDisplayMode.List)
    .placement(LegendPlacement.Bottom)
    .showLegend(true)
  const lines = new TimeSeriesBuilder().legend(legend).axisSoftMin(0)
  return kind === 'bars' ? lines.drawStyle(GraphDrawStyle.Bars).fillOpacity(80) : lines.fillOpacity(10)
}

function query({ kind, targets }: Panel, index: number): DataqueryBuilder {
  const { expr, legend, exemplars } = targets[index] as Panel['targets'][number]
  const builder = new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .datasource(DATASOURCE)
    .expr(expr)
    .legendFormat(legend)
  if (kind === 'table') return builder.format(PromQueryFormat.Table).instant()
  return exemplars ? builder.range().exemplar(true) : builder.range()
}
