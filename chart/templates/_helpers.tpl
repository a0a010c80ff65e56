{{- define "tulle.suffix" -}}
{{- if ne .Values.revision "default" }}-{{ .Values.revision }}{{ end -}}
{{- end -}}

{{- define "tulle.mesh" -}}
{{- $mesh := dict "rootNamespace" .Release.Namespace "trustDomain" .Values.trustDomain -}}
{{- toYaml (mergeOverwrite $mesh (deepCopy .Values.meshConfig)) -}}
{{- end -}}
