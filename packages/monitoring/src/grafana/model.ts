import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  type Dashboard as DashboardModel,
  type Panel as PanelModel,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import type { Dashboard, Row, Variable } from '../dashboards/dashboard.ts'
import { DATASOURCE } from './datasource.ts'
import { panelBuilder } from './panel.ts'

const TAG = 'millrace'

/** Grafana's model of a dashboard, by the builders that Grafana publishes for it. */
export function dashboardModel({ uid, title, description, variables, rows }: Dashboard): DashboardModel {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .timezone('browser')
    .time({ from: 'now-3h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .variables(variables.map(toVariable))
    .link(
      new DashboardLinkBuilder('Millrace')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    )
  // Ids from 1, in order: Grafana tells panels apart by them, and a change of one panel moves no other.
  let id = 0
  for (const row of rows) addRow(builder, row, () => ++id)
  return builder.build()
}

function addRow(builder: DashboardBuilder, { title, panels }: Row, nextId: () => number): void {
  builder.withRow(new RowBuilder(title).id(nextId()))
  for (const panel of panels) builder.withPanel(panelBuilder(panel, nextId()) as Builder<PanelModel>)
}

function toVariable({ name, label, values }: Variable): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query(values)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .current({ selected: true, text: ['All'], value: ['$__all'] })
}
