// What a dashboard of ours must be: Grafana's own types, with the options of each panel instead of "anything".
import type { Dashboard, Panel } from "@grafana/schema";
import type { PrometheusDataQuery } from "@grafana/schema/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen";
import type { Options as Stat } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { Options as Table } from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type { Options as Series } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has no enums: where a type asks for one, the texts of its members are meant.
type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Of<Type extends string, Options> = Omit<Panel, "type" | "options" | "targets"> & {
  type: Type;
  options: Options;
  targets: PrometheusDataQuery[];
};
export type Ours = Json<
  Omit<Dashboard, "panels"> & { panels: (Of<"stat", Stat> | Of<"timeseries", Series> | Of<"table", Table>)[] }
>;
